"""S3FD: network, decoding, and the detector built of both."""

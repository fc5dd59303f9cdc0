"""Judging results as the paper does: pair lists, generation, LSE-D and LSE-C, FID, PSNR, SSIM."""

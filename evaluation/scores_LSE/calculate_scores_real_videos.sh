#!/bin/sh
# LSE-D and LSE-C of every video in a folder, one line each in all_scores.txt:
#   sh calculate_scores_real_videos.sh /path/to/videos [flags of calculate_scores_real_videos.py]
set -e
if [ $# -eq 0 ]; then
    echo "usage: $0 /path/to/videos [flags]" >&2
    exit 2
fi
data_root=$1
shift
exec "${PYTHON:-python}" "$(dirname "$0")/calculate_scores_real_videos.py" \
    --data_root "$data_root" "$@"

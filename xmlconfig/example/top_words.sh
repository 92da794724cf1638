# The most frequent words of a file, and how often they are in it.
set -eu
counted=$(tr -cs '[:alpha:]' '\n' < "$1" | sort | uniq -c | sort -k1,1nr -k2 | head -n "$2")
echo "$counted"
echo "top=$(echo "$counted" | awk 'NR == 1 { print $2 }')" >> "$RF_OUTPUT"

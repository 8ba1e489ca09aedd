#!/bin/sh
# Turns what flanneld wrote into docker's options: -k KEY -d FILE, as the package's own script.
set -eu
while getopts k:d: option; do
    case $option in
        k) key=$OPTARG ;;
        d) file=$OPTARG ;;
        *) exit 1 ;;
    esac
done
. /run/flannel/subnet.env
mkdir -p "$(dirname "$file")"
echo "$key=\" --bip=$FLANNEL_SUBNET --ip-masq=$([ "$FLANNEL_IPMASQ" = true ] && echo false || echo true) --mtu=$FLANNEL_MTU\"" >"$file"

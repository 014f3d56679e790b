#!/usr/bin/env bash
# What a node of the private Slurm runs in namespaces of its own:   node.sh NAME FOLDER SLURMD [options]
# It gets a host name, a hosts file, and, once its end of the network is here, a slurmd.
set -euo pipefail
name=$1 folder=$2
shift 2
hostname "$name"
mount --bind "$folder/hosts" /etc/hosts
mount -t proc proc /proc # with the process numbers of the nodes
read -r address # the line says that the network is here
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
exec "$@"

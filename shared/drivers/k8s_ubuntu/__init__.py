"""Kubernetes on Ubuntu and Debian by kubeadm (vm, ubuntu, kubernetes). README.md says what it honours and opens."""

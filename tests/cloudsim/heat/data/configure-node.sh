#!/bin/sh
. /etc/sysconfig/heat-params
systemctl enable kubelet
systemctl start kubelet

#!/bin/bash
touch /etc/on-the-disk

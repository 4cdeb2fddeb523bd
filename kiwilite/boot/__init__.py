"""What runs before the root file system is there: initrd, hook, UKI."""

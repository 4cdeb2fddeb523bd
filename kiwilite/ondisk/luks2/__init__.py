"""LUKS2: the header's reader and writer, keyslots, digests and tokens.

`volume` makes the header of a new volume and gets the volume key back; `header` is both
copies on disk, `metadata` the JSON in them, `keyslot`, `af` and `kdf` the way from a
passphrase to the volume key, `tokens` what we add.
"""

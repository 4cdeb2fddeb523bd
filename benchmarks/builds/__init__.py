"""What builds cost: kiwilite's, those of other builders, and the tools that all of them need.

running     a command: CPU of all it started, wall, memory of its tree, by step
measures    numbers with limits, and tables
ours        builds of descriptions/x86: clean, and after each kind of change
raw         mmdebstrap, mksquashfs and veritysetup alone, for the same packages
kiwi_peer   KIWI on a description as near as it comes to ours
mkosi_peer  mkosi with the same packages
growth      how cost grows with the tree and with the disk
"""

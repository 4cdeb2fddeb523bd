"""squashfs 4.0: a reader, and a writer whose every block depends on its own content only.

     0 | superblock | compressor's options | blocks of files | blocks of fragments |
       | inodes | directories | fragment table | export table | id table | xattrs |

`tree` is what both sides speak of. The writer goes over it in steps: `survey` digests the
contents, `packing` finds what is there twice and puts small files together into fragments,
`blocks` compresses, or takes from an earlier image what that has compressed already
(`known_blocks`), and `writer` puts the tables behind it. `metadata`, `inodes`,
`directories` and `xattrs` are one table's bytes each, in both directions.

Source: Documentation/filesystems/squashfs.rst of Linux, and its fs/squashfs/squashfs_fs.h.
"""

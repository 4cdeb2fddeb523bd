" :make runs `kiwilite description check` on the file, and fills the quickfix list.
if exists('current_compiler')
  finish
endif
let current_compiler = 'kiwilite'

CompilerSet makeprg=kiwilite\ description\ check\ --format=gcc\ %:p:S
CompilerSet errorformat=%f:%l:%c:\ %t%*[a-z]:\ %m

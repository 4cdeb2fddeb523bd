" An appliance description is XML; `kiwilite description check` is its compiler.
autocmd BufNewFile,BufRead *.kiwi
      \ setfiletype xml | compiler kiwilite | setlocal omnifunc=kiwilite#complete

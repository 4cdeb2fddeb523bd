" Omni completion (CTRL-X CTRL-O) with the words of autoload/xml/kiwilite.vim. Vim keeps one
" vocabulary for all XML, so ours is put in for the time of a call only.
function! kiwilite#complete(findstart, base) abort
  runtime autoload/xml/kiwilite.vim
  let l:others = get(g:, 'xmldata_connection', {})
  let g:xmldata_connection = {'DEFAULT': 'kiwilite'}
  try
    return xmlcomplete#CompleteTags(a:findstart, a:base)
  finally
    let g:xmldata_connection = l:others
  endtry
endfunction

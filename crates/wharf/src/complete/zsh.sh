#compdef @program@
# zsh completion for @program@

_@program@() {
    local directive line word
    local -a answer described
    answer=("${(@f)$("${(Q)words[1]}" @ask@ "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    directive=${answer[-1]#:}
    [[ $directive == <-> ]] || return 1
    answer[-1]=()
    for line in "${answer[@]}"; do
        [[ -n $line ]] || continue
        # a colon separates a word from what it means
        word=${${line%%$'\t'*}//:/\\:}
        if [[ $line == *$'\t'* ]]; then
            described+=("$word:${line#*$'\t'}")
        else
            described+=("$word")
        fi
    done
    # of `--flag=value` the value alone is answered
    [[ $PREFIX == --*=* ]] && compset -P '*='
    if ((directive & 16)); then
        _path_files -/
    elif ((${#described} == 0)); then
        ((directive & 4)) || _files
    elif ((directive & 2)); then
        _describe '@program@' described -S ''
        # beside a path in a container there may be one of ours
        ((directive & 4)) || _files
    else
        _describe '@program@' described
    fi
}

# as a file of fpath this is the function itself
if [[ ${funcstack[1]} == _@program@ ]]; then
    _@program@ "$@"
else
    compdef _@program@ @program@
fi

# bash completion for @program@, bash 4.4 or newer
#
# COMP_WORDS is cut at the characters of COMP_WORDBREAKS (`=` and `:` among them), while the program wants the words as the user sees
# them: pieces that nothing separates in COMP_LINE are joined again, and what stands before the last piece is cut off the answers.
__@program@_complete() {
    local words=() rest=$COMP_LINE piece trimmed i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        trimmed=${rest#"${rest%%[![:space:]]*}"}
        if ((${#words[@]} > 0)) && [[ -n $piece && $trimmed == "$rest" && ${rest:0:${#piece}} == "$piece" ]]; then
            words[-1]+=$piece
        else
            words+=("$piece")
        fi
        rest=${trimmed#"$piece"}
    done
    local current=${words[-1]} last=${COMP_WORDS[COMP_CWORD]}
    # of `--flag=value` the value alone is answered
    [[ $current == --*=* ]] && current=${current#*=}
    # a piece that is a break itself is kept, and what follows it is new
    [[ $last == [=:] ]] && last=
    local cut=${current%"$last"}
    # a quote that is still open
    words[-1]=${words[-1]#[\"\']}

    local answer directive line candidates=() shown=() widest=0
    answer=$("${words[0]/#\~/$HOME}" @ask@ "${words[@]:1}" 2>/dev/null) || return 0
    directive=${answer##*:}
    answer=${answer%:*}
    while IFS= read -r line; do
        [[ -n $line ]] || continue
        shown+=("$line")
        line=${line%%$'\t'*}
        candidates+=("${line#"$cut"}")
        ((${#line} > widest)) && widest=${#line}
    done <<<"$answer"

    if ((directive & 2)); then compopt -o nospace; fi
    if ((${#candidates[@]} == 0)); then
        if ((directive & 16)); then
            compopt -o dirnames 2>/dev/null
        elif ! ((directive & 4)); then
            compopt -o default 2>/dev/null
        fi
    fi
    # where they are only listed, they are listed with what they mean
    if [[ $COMP_TYPE == 63 && $answer == *$'\t'* ]] && ((${#shown[@]} > 1)); then
        COMPREPLY=()
        for line in "${shown[@]}"; do
            [[ $line == *$'\t'* ]] && printf -v line "%-${widest}s  (%s)" "${line%%$'\t'*}" "${line#*$'\t'}"
            COMPREPLY+=("$line")
        done
        return 0
    fi
    COMPREPLY=("${candidates[@]}")
}

complete -F __@program@_complete @program@

# fish completion for @program@

function __@program@_ask
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -g __@program@_found
    set -g __@program@_directive 0
    set -l answer ($words[1] @ask@ $words[2..-1] "$current" 2>/dev/null)
    or return 1
    set -l prefix ''
    # of `--flag=value` the value alone is answered, and fish wants the whole
    if string match -qr '^--[^=]*=' -- $current
        set prefix (string replace -r '=.*' '=' -- $current)
    end
    for line in $answer
        if string match -qr '^:[0-9]+$' -- $line
            set -g __@program@_directive (string sub -s 2 -- $line)
        else if test -n "$line"
            set -g -a __@program@_found $prefix$line
        end
    end
end

# whether the program has said all there is to say
function __@program@_settled
    __@program@_ask
    test (count $__@program@_found) -gt 0
    or test $__@program@_directive -eq 4
end

complete -c @program@ -e
complete -c @program@ -n __@program@_settled -f -k -a '$__@program@_found'

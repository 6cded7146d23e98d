# Completion of kaizenctl @VERSION@ for fish. Made by `kaizenctl completions fish`; do not edit.

function __kaizenctl_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l previous $before[-1]
    set -l joined ''
    if string match -q -- '--*=*' $current
        set previous (string replace -r '=.*' '' -- $current)
        set joined "$previous="
        set current (string replace -r '^[^=]*=' '' -- $current)
    end
    set -l operation ''
    set -l at 2
    while test $at -le (count $before)
        switch $before[$at]
            case @GLOBAL_VALUED@
                set at (math $at + 2)
            case '-*'
                set at (math $at + 1)
            case '*'
                set operation (string lower -- $before[$at])
                break
        end
    end
    set -l flags
    set -l arguments
    set -l files
    set -l directories
    set -l texts
    switch $previous
@GLOBALS@
    end
    switch $operation
@OPERATIONS@
    end
    if contains -- $previous $files
        __fish_complete_path $current | string replace -r '^' -- $joined
    else if contains -- $previous $directories
        __fish_complete_directories $current | string replace -r '^' -- $joined
    else if contains -- $previous $texts
        return
    else if test -z "$operation"; and not string match -q -- '-*' $current
        printf '%s\t%s\n' \
@NAMES@
    else if test "$operation" = @POSITIONAL_DIRECTORY@; and not string match -q -- '-*' $current
        __fish_complete_directories $current
    else if set -q arguments[1]; and not string match -q -- '-*' $current
        printf '%s\t%s\n' $arguments
    else
        set -q flags[1]; and printf '%s\t%s\n' $flags
        printf '%s\t%s\n' \
@GLOBAL_FLAGS@
    end
end

complete -c kaizenctl -f -a '(__kaizenctl_complete)'

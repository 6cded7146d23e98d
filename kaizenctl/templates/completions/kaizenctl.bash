# Completion of kaizenctl @VERSION@ for bash 3.2 and later. Made by `kaizenctl completions bash`; do not edit.
# shellcheck shell=bash

_kaizenctl_paths() {
    local IFS=$'\n'
    # shellcheck disable=SC2207
    COMPREPLY=($(compgen "$1" -- "$2"))
    # bash 3.2 has no compopt.
    compopt -o filenames 2>/dev/null
}

_kaizenctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local operation='' flags='' files='' directories='' texts='' words='' arguments='' word at=1
    COMPREPLY=()
    # bash takes --flag=value apart into three words.
    if [[ $cur == '=' ]]; then
        cur=''
    elif [[ $prev == '=' ]] && ((COMP_CWORD > 1)); then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    while ((at < COMP_CWORD)); do
        word=${COMP_WORDS[at]}
        at=$((at + 1))
        case $word in
            @GLOBAL_VALUED@)
                if [[ ${COMP_WORDS[at]} == '=' ]]; then at=$((at + 1)); fi
                at=$((at + 1))
                ;;
            -*) ;;
            *)
                operation=$word
                break
                ;;
        esac
    done
    case $prev in
@GLOBALS@
    esac
    case $operation in
@OPERATIONS@
    esac
    if [[ -n $words ]]; then
        :
    elif [[ " $files " == *" $prev "* ]]; then
        _kaizenctl_paths -f "$cur"
        return
    elif [[ " $directories " == *" $prev "* ]]; then
        _kaizenctl_paths -d "$cur"
        return
    elif [[ " $texts " == *" $prev "* ]]; then
        return
    elif [[ -z $operation && $cur != -* ]]; then
        # A code may be typed in any case.
        case $cur in
            [a-z] | [a-z][0-9]*) cur=$(printf '%s' "$cur" | tr '[:lower:]' '[:upper:]') ;;
        esac
        # shellcheck disable=SC2207
        COMPREPLY=($(compgen -W '@CODES@' -- "$cur") $(compgen -W '@NAMES@' -- "${COMP_WORDS[COMP_CWORD]}"))
        return
    elif [[ $operation == @POSITIONAL_DIRECTORY@ && $cur != -* ]]; then
        _kaizenctl_paths -d "$cur"
        return
    elif [[ -n $arguments && $cur != -* ]]; then
        words=$arguments
    else
        words="$flags @GLOBAL_FLAGS@"
    fi
    # shellcheck disable=SC2207
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}

complete -F _kaizenctl kaizenctl

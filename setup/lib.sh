# shellcheck shell=bash
# What the installers have in common: flags, the plan, running steps, logs, the state file, and the user's environment.
# Sourced by setup.sh and link-skills.sh. install-kaizen.sh carries a copy between two markers, because it must work
# alone; `setup/embed-lib.sh` puts it there. bash 3.2 and later.

# Exit statuses, as in sysexits.h.
EX_USAGE=64
EX_UNAVAILABLE=69
EX_SOFTWARE=70
EX_TEMPFAIL=75

# An installer sets these before it calls anything.
installer=${installer:-setup}
usage_status=$EX_USAGE

dev_root=''
dev_root_given=''
list_steps=0
plan_only=0
plan_json=''
self_test=0
no_progress=0
no_network=0
no_external=0
no_user_env=0
assume_yes=0
no_input=0

step_ids=()
step_names=()
step_functions=()
step_status=()
step_seconds=()
step_reasons=()
current=-1
current_reason=''
current_started=0
skipped=0
command_count=0
lock_held=''

say() { printf '    %s\n' "$1"; }
warn() { printf '%s: %s\n' "$installer" "$1" >&2; }

# fail MESSAGE [STATUS]
fail() {
    current_reason=$1
    warn "$1"
    exit "${2:-1}"
}

usage_error() {
    current_reason=$1
    warn "$1"
    usage >&2
    exit "$usage_status"
}

# The mode variables are the flags' defaults.
modes_from_environment() {
    no_progress=${KAIZEN_SETUP_NO_PROGRESS:-0}
    no_network=${KAIZEN_SETUP_NO_NETWORK:-0}
    no_external=${KAIZEN_SETUP_NO_EXTERNAL_ACTIONS:-0}
    no_user_env=${KAIZEN_SETUP_NO_USER_ENV_WRITES:-0}
    assume_yes=${KAIZEN_SETUP_ASSUME_YES:-0}
    no_input=${KAIZEN_SETUP_NO_INPUT:-0}
}

common_usage() {
    cat <<'TEXT'
Flags of every installer:
  --devroot DIR            The directory above the projects
  --list-steps             Print the plan
  --plan-only              Print the plan; change nothing
  --emit-plan-json PATH    With either of the two, write the plan as JSON too
  --self-test              Walk through the steps and do nothing
  --no-progress            No progress lines on standard error
  --no-network             End with an error rather than use the network
  --no-external-actions    End with an error rather than call a package or service manager
  --no-user-env-writes     Leave ~/.profile and the like alone
  --assume-yes             Answer every question with yes
  --no-input               Ask nothing; take the defaults
  -h, --help               Print this
Exit status: 0 done, 1 blocked or failed, 64 wrong call, 69 something is missing, 70 a fault of the installer,
75 another run is under way.
TEXT
}

# common_flag ARGUMENTS: takes a flag that all installers have. Sets `taken` to the number of words; 0 for another flag.
# shellcheck disable=SC2034
common_flag() {
    taken=1
    case $1 in
        --devroot)
            flag_value "$@"
            dev_root_given=$2
            taken=2
            ;;
        --emit-plan-json)
            flag_value "$@"
            plan_json=$2
            taken=2
            ;;
        --list-steps) list_steps=1 ;;
        --plan-only) plan_only=1 ;;
        --self-test) self_test=1 ;;
        --no-progress) no_progress=1 ;;
        --no-network) no_network=1 ;;
        --no-external-actions) no_external=1 ;;
        --no-user-env-writes) no_user_env=1 ;;
        --assume-yes) assume_yes=1 ;;
        --no-input) no_input=1 ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) taken=0 ;;
    esac
}

# flag_value FLAG [VALUE]: a flag that needs a value has one.
flag_value() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then usage_error "$1 needs a value"; fi
}

# The absolute path of a directory that need not exist, without links in the part that does.
absolute_directory() {
    local path=$1 rest=''
    case $path in /*) ;; *) path=$PWD/$path ;; esac
    while [ ! -d "$path" ]; do
        rest=/$(basename -- "$path")$rest
        path=$(dirname -- "$path")
    done
    path=$(cd -- "$path" && pwd -P) || return 1
    case $rest in
        */../* | */.. | */./* | */.) usage_error "the path $1 has a part that does not exist before . or .." ;;
    esac
    if [ "$path" = / ] && [ -n "$rest" ]; then path=''; fi
    # Linux keeps a second leading slash.
    printf '%s\n' "${path/#\/\//\/}$rest"
}

# Whether an absolute path belongs to the system.
is_protected() {
    case $1 in
        / | /usr | /var | /private | /System | /Library | /Applications) return 0 ;;
        /bin | /bin/* | /sbin | /sbin/* | /lib | /lib/* | /lib32 | /lib32/* | /lib64 | /lib64/*) return 0 ;;
        /usr/bin | /usr/bin/* | /usr/sbin | /usr/sbin/* | /usr/lib | /usr/lib/* | /usr/share | /usr/share/*) return 0 ;;
        /etc | /etc/* | /private/etc | /private/etc/* | /private/var | /boot | /boot/* | /sys | /sys/*) return 0 ;;
        /proc | /proc/* | /System/* | /Library/*) return 0 ;;
        /dev/shm/*) return 1 ;;
        /dev | /dev/*) return 0 ;;
        *) return 1 ;;
    esac
}

# use_dev_root GIVEN DEFAULT: settles DEVROOT. Nobody has asked for a default that cannot be used: HOME/dev serves then.
# shellcheck disable=SC2034
use_dev_root() {
    local chosen=$1
    if [ -n "$chosen" ]; then
        dev_root=$(absolute_directory "$chosen") || exit "$EX_USAGE"
        if is_protected "$dev_root"; then usage_error "$dev_root belongs to the system; choose another DEVROOT"; fi
    else
        dev_root=$(absolute_directory "$2") || exit "$EX_USAGE"
        if is_protected "$dev_root" || { [ -d "$dev_root" ] && [ ! -w "$dev_root" ]; }; then
            dev_root=$(absolute_directory "$HOME/dev")
        fi
    fi
    log_root=$dev_root/kaizen-setup/logs
    state_file=$dev_root/kaizen-setup/setup-state.json
    env_file=$dev_root/kaizen-setup/env.sh
    skill_store=$dev_root/SKILLS/skills
}

valid_name() {
    case $1 in
        '' | . | .. | *[!A-Za-z0-9._-]*) return 1 ;;
        *) return 0 ;;
    esac
}

# ---- JSON ----

json_string() {
    local text=$1
    text=${text//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//$'\n'/\\n}
    text=${text//$'\t'/\\t}
    text=${text//$'\r'/\\r}
    printf '"%s"' "$(printf '%s' "$text" | LC_ALL=C tr -d '\001-\037')"
}

json_flag() { if [ "$1" = 1 ]; then printf true; else printf false; fi; }

# Whether a file exists with exactly the text on standard input; writes it when not. Sets `written`.
write_if_changed() {
    local target=$1 text
    text=$(cat && printf x)
    text=${text%x}
    written=0
    if [ -f "$target" ] && [ "$(cat -- "$target" && printf x)" = "${text}x" ]; then return; fi
    mkdir -p -- "$(dirname -- "$target")"
    printf '%s' "$text" >"$target.$$.partial"
    mv -f -- "$target.$$.partial" "$target"
    written=1
}

# ---- plan and state ----

# step ID NAME FUNCTION
step() {
    step_ids+=("$1")
    step_names+=("$2")
    step_functions+=("$3")
    step_status+=('')
    step_seconds+=(0)
    step_reasons+=('')
}

percent() { printf '%d' $(($1 * 100 / ${#step_ids[@]})); }

print_plan() {
    local at
    printf 'Plan of %s\n' "$installer"
    identity_lines
    printf '  DEVROOT:   %s\n  Logs:      %s\n' "$dev_root" "$log_root"
    for at in "${!step_ids[@]}"; do
        printf '  %2d. %-13s %-46s %3d%% -> %3d%%\n' $((at + 1)) "${step_ids[at]}" "${step_names[at]}" \
            "$(percent "$at")" "$(percent $((at + 1)))"
    done
}

plan_as_json() {
    local at
    printf '{\n  "installer": %s,\n' "$(json_string "$installer")"
    identity_json
    printf '  "devRoot": %s,\n  "logRoot": %s,\n' "$(json_string "$dev_root")" "$(json_string "$log_root")"
    printf '  "planOnly": %s,\n  "selfTest": %s,\n' "$(json_flag $plan_only)" "$(json_flag $self_test)"
    printf '  "safety": {"noNetwork": %s, "noExternalActions": %s, "noUserEnvWrites": %s, "noInput": %s},\n' \
        "$(json_flag "$no_network")" "$(json_flag "$no_external")" "$(json_flag "$no_user_env")" "$(json_flag "$no_input")"
    printf '  "steps": ['
    for at in "${!step_ids[@]}"; do
        if [ "$at" -gt 0 ]; then printf ','; fi
        printf '\n    {"index": %d, "id": %s, "name": %s}' $((at + 1)) "$(json_string "${step_ids[at]}")" \
            "$(json_string "${step_names[at]}")"
    done
    printf '\n  ]\n}\n'
}

write_state() {
    local at first=1
    if [ "$self_test" = 1 ] || [ "$plan_only" = 1 ] || [ "$list_steps" = 1 ]; then return; fi
    mkdir -p -- "$(dirname -- "$state_file")" || return 0
    {
        printf '{\n  "installer": %s,\n  "lastRun": "%s",\n' "$(json_string "$installer")" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
        identity_json
        printf '  "devRoot": %s,\n  "steps": [' "$(json_string "$dev_root")"
        for at in "${!step_ids[@]}"; do
            if [ -z "${step_status[at]}" ]; then continue; fi
            if [ $first = 0 ]; then printf ','; fi
            first=0
            printf '\n    {"id": %s, "name": %s, "status": "%s", "elapsedSeconds": %d, "reason": %s}' \
                "$(json_string "${step_ids[at]}")" "$(json_string "${step_names[at]}")" "${step_status[at]}" \
                "${step_seconds[at]}" "$(json_string "${step_reasons[at]}")"
        done
        printf '\n  ]\n}\n'
    } >"$state_file.$$.partial" && mv -f -- "$state_file.$$.partial" "$state_file"
}

# progress PERCENT INDEX WORD NAME
progress() {
    local before='' after=''
    if [ "$no_progress" = 1 ]; then return; fi
    if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
        after=$'\033[0m'
        case $3 in
            OK) before=$'\033[32m' ;;
            FAILED) before=$'\033[31m' ;;
            SKIPPED) before=$'\033[33m' ;;
            *) after='' ;;
        esac
    fi
    printf '[%3d%%] [%d/%d] %s%s%s: %s\n' "$1" "$2" "${#step_ids[@]}" "$before" "$3" "$after" "$4" >&2
}

# heading AT: names the step on standard output. A terminal that shows both streams has it from the progress line.
heading() {
    if [ -t 1 ] && [ -t 2 ] && [ "$no_progress" = 0 ]; then return; fi
    printf '==> [%d/%d] %s\n' $(($1 + 1)) "${#step_ids[@]}" "${step_names[$1]}"
}

# Ends the present step with a status and a reason.
settle() {
    local at=$current
    step_status[at]=$1
    step_reasons[at]=$2
    step_seconds[at]=$(($(date +%s) - current_started))
    current=-1
    progress "$(percent $((at + 1)))" $((at + 1)) "$1" "${step_names[at]}"
    write_state
}

# skip REASON: for a step that has nothing to do, or was not asked for. The step returns after it.
skip() {
    skipped=1
    current_reason=$1
    say "skipped: $1"
}

on_exit() {
    local status=$?
    if [ "$current" -ge 0 ]; then
        # The step that was under way; a signal has no reason of its own.
        settle FAILED "${current_reason:-ended with status $status}"
        if [ "$status" = 0 ]; then status=$EX_SOFTWARE; fi
    fi
    release_lock
    trap - EXIT
    exit "$status"
}

take_lock() {
    local directory=$dev_root/kaizen-setup/setup.lock other
    mkdir -p -- "$dev_root/kaizen-setup" 2>/dev/null || fail "cannot make $dev_root/kaizen-setup" "$EX_UNAVAILABLE"
    if ! mkdir -- "$directory" 2>/dev/null; then
        other=$(cat "$directory/pid" 2>/dev/null || true)
        if [ -n "$other" ] && kill -0 "$other" 2>/dev/null; then
            fail "another installer works in $dev_root (process $other); try again when it has ended" "$EX_TEMPFAIL"
        fi
        rm -rf -- "$directory"
        mkdir -- "$directory" 2>/dev/null || fail "another installer works in $dev_root" "$EX_TEMPFAIL"
    fi
    printf '%d\n' $$ >"$directory/pid"
    lock_held=$directory
}

release_lock() {
    if [ -n "$lock_held" ]; then rm -rf -- "$lock_held"; fi
    lock_held=''
}

# Runs what was planned, in the mode that was asked for.
run_steps() {
    local at
    if [ "$list_steps" = 1 ] || [ "$plan_only" = 1 ]; then
        print_plan
        if [ -n "$plan_json" ]; then plan_as_json >"$plan_json" || fail "cannot write $plan_json"; fi
        if [ "$plan_only" = 1 ]; then
            for at in "${!step_ids[@]}"; do
                progress "$(percent $((at + 1)))" $((at + 1)) PLAN "${step_names[at]}"
            done
        fi
        return
    fi
    if [ -n "$plan_json" ]; then warn "--emit-plan-json writes only with --list-steps or --plan-only"; fi
    if [ "$self_test" = 1 ]; then
        for at in "${!step_ids[@]}"; do
            heading "$at"
            declare -F "${step_functions[at]}" >/dev/null || fail "step ${step_ids[at]} has no function" "$EX_SOFTWARE"
            progress "$(percent $((at + 1)))" $((at + 1)) SELFTEST "${step_names[at]}"
        done
        return
    fi
    trap on_exit EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    take_lock
    for at in "${!step_ids[@]}"; do
        current=$at
        current_reason=''
        current_started=$(date +%s)
        skipped=0
        heading "$at"
        progress "$(percent "$at")" $((at + 1)) working "${step_names[at]}"
        "${step_functions[at]}"
        if [ $skipped = 1 ]; then settle SKIPPED "$current_reason"; else settle OK ''; fi
    done
}

# ---- safety ----

needs_network() { if [ "$no_network" = 1 ]; then fail "--no-network forbids this: $1"; fi; }
needs_external() { if [ "$no_external" = 1 ]; then fail "--no-external-actions forbids this: $1"; fi; }

# Whether there is somebody to ask.
can_ask() { [ "$no_input" = 0 ] && [ "$assume_yes" = 0 ] && [ -t 0 ] && [ -t 1 ]; }

# ---- commands ----

# run COMMAND ARGUMENTS: with its output in a log of its own; shows the end of it when it fails.
run() {
    local exe log status started pid
    exe=$(basename -- "$1" | LC_ALL=C tr -c 'A-Za-z0-9._-' '_' | sed 's/_$//')
    command_count=$((command_count + 1))
    mkdir -p -- "$log_root"
    log=$log_root/command-$(date +%Y%m%d-%H%M%S)-$(printf '%03d' $command_count)-$exe.log
    {
        printf 'COMMAND:'
        printf ' %q' "$@"
        printf '\nSTARTED: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    } >"$log"
    status=0
    if [ -t 2 ] && [ "$no_progress" = 0 ]; then
        started=$(date +%s)
        "$@" >>"$log" 2>&1 </dev/null &
        pid=$!
        while kill -0 $pid 2>/dev/null; do
            printf '\r    %s %ds ' "$exe" $(($(date +%s) - started)) >&2
            sleep 1
        done
        printf '\r\033[K' >&2
        wait $pid || status=$?
    else
        "$@" >>"$log" 2>&1 </dev/null || status=$?
    fi
    printf 'FINISHED: %s\nEXIT CODE: %d\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$status" >>"$log"
    if [ $status != 0 ]; then
        warn "$exe ended with status $status; the end of $log:"
        tail -n 14 -- "$log" | head -n 12 >&2
    fi
    return $status
}

# ---- the user's environment ----

profile_mark='# kaizen-setup'

# A text as one word of a POSIX shell.
shell_word() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# Where a path leads past links.
link_target() {
    local path=$1 target count=0
    while [ -L "$path" ] && [ $count -lt 20 ]; do
        target=$(readlink "$path")
        case $target in /*) path=$target ;; *) path=$(dirname -- "$path")/$target ;; esac
        count=$((count + 1))
    done
    printf '%s\n' "$path"
}

# set_marked_line FILE [LINE]: makes this the only marked line of the file, or removes the marked lines. What else is in
# the file, its permissions, and a link in its place stay. Sets `written`.
set_marked_line() {
    local file kept wanted
    file=$(link_target "$1")
    written=0
    kept=''
    if [ $# = 1 ] && ! grep -q -F -- "$profile_mark" "$file" 2>/dev/null; then return; fi
    if [ -f "$file" ]; then
        kept=$(grep -v -F -- "$profile_mark" "$file" && printf x || printf x)
        kept=${kept%x}
    fi
    wanted=$kept
    if [ $# -gt 1 ]; then
        if [ -n "$wanted" ] && [ "${wanted%$'\n'}" = "$wanted" ]; then wanted+=$'\n'; fi
        wanted+="$2 $profile_mark"$'\n'
    fi
    if [ -f "$file" ] && [ "$(cat -- "$file" && printf x)" = "${wanted}x" ]; then return; fi
    if [ -f "$file" ]; then cp -p -- "$file" "$file.$$.partial"; fi
    printf '%s' "$wanted" >"$file.$$.partial"
    mv -f -- "$file.$$.partial" "$file"
    written=1
}

# ---- skills ----

# link_skills PROJECT SOURCE: mirrors the store in a project: a link for each skill, and the standing INDEX.md of SOURCE,
# a checkout of Kaizen, which may be empty.
link_skills() {
    local project=$1 source=$2 mirror skill name target linked=0 kept=0 removed=0
    for mirror in "$project/.agents/skills" "$project/.claude/skills"; do
        mkdir -p -- "$mirror"
        for target in "$mirror"/*; do
            # A link into the store whose skill is gone.
            if [ -L "$target" ] && [ ! -e "$target" ]; then
                case $(readlink "$target") in
                    "$skill_store"/*)
                        rm -f -- "$target"
                        removed=$((removed + 1))
                        ;;
                esac
            fi
        done
        for skill in "$skill_store"/*/; do
            skill=${skill%/}
            if [ ! -f "$skill/SKILL.md" ]; then continue; fi
            name=$(basename -- "$skill")
            if [ -e "$mirror/$name" ] || [ -L "$mirror/$name" ]; then
                kept=$((kept + 1))
            else
                ln -s -- "$skill" "$mirror/$name"
                linked=$((linked + 1))
            fi
        done
        if [ -n "$source" ] && [ ! -e "$mirror/INDEX.md" ]; then
            cp -- "$source/.agents/skills/INDEX.md" "$mirror/INDEX.md"
        fi
        if [ ! -e "$mirror/.gitignore" ]; then printf '*\n!.gitignore\n!INDEX.md\n' >"$mirror/.gitignore"; fi
        skills_list "$mirror" | write_if_changed "$mirror/LINKED.md"
    done
    say "links made: $linked, kept: $kept, removed because the skill is gone: $removed"
}

# What is linked in a mirror, for agents: the name and the description of each skill.
skills_list() {
    local skill description
    printf '# Skills linked here\n\nMade by setup/link-skills.sh; not tracked. INDEX.md says how this folder works.\n\n'
    for skill in "$1"/*/; do
        if [ ! -f "${skill}SKILL.md" ]; then continue; fi
        description=$(sed -n '1,40s/^description:[[:space:]]*//p' "${skill}SKILL.md" | head -n 1 | cut -c1-300)
        printf -- '- [%s](%s/SKILL.md)%s\n' "$(basename -- "$skill")" "$(basename -- "$skill")" "${description:+: $description}"
    done
}

# ---- the editor's workspace ----

# write_workspace PROJECT NAME WITH_ROOT: a VS Code workspace and a script that opens it.
write_workspace() {
    local project=$1 name=$2 with_root=$3 label=$2 skills=../../SKILLS file launcher changed=0
    if [ "$name" = kaizen ]; then label=Kaizen; fi
    if [ "$(dirname -- "$project")" != "$dev_root" ]; then skills=$dev_root/SKILLS; fi
    file=$project/_workspace/$name-tools.code-workspace
    launcher=$project/open-$name-vscode.sh
    {
        printf '{\n  "folders": [\n    {"name": %s, "path": ".."},\n' "$(json_string "$label")"
        printf '    {"name": "Skills", "path": %s}\n  ],\n  "settings": {' "$(json_string "$skills")"
        if [ "$with_root" = yes ]; then
            printf '\n    "terminal.integrated.env.linux": {"KAIZEN_REPO_ROOT": %s},' "$(json_string "$project")"
            printf '\n    "terminal.integrated.env.osx": {"KAIZEN_REPO_ROOT": %s}\n  ' "$(json_string "$project")"
        fi
        printf '}\n}\n'
    } | write_if_changed "$file"
    # In a pipe the variable is set in a process of its own.
    write_if_changed "$launcher" <<TEXT
#!/bin/sh
# Opens the workspace of this project in VS Code. Made by $installer.
here=\$(cd "\$(dirname "\$0")" && pwd) || exit 1
for editor in code codium code-insiders; do
    if command -v "\$editor" >/dev/null 2>&1; then exec "\$editor" "\$here/_workspace/$name-tools.code-workspace" "\$@"; fi
done
echo "VS Code is not on PATH (code, codium or code-insiders)" >&2
exit 69
TEXT
    changed=$written
    chmod 755 "$launcher"
    say "$file"
    if [ "$changed" = 1 ]; then say "$launcher opens it"; fi
}

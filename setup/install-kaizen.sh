#!/usr/bin/env bash
# Installs Kaizen on Linux or macOS: what it needs, a checkout below DEVROOT, and from there setup/setup.sh. With
# --duplicate it makes a further project that uses the installed programs. It works alone:
#     curl -fsSL URL/setup/install-kaizen.sh | bash -s -- --assume-yes
set -euo pipefail

# >>> setup/lib.sh (put here by setup/embed-lib.sh; change it there)
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
# <<< setup/lib.sh

usage() {
    cat <<'TEXT'
Usage: install-kaizen.sh [DEVROOT] [FLAGS]
       install-kaizen.sh [DEVROOT] --duplicate NAME [FLAGS]

  DEVROOT                  The directory above the projects (default: $DEVROOT, else ~/dev)
  --repo-source URL|PATH   Where to clone from (default: https://github.com/kaizen-system/kaizen)
  --ref REF                The branch or tag (default: the source's own)
  --project-name NAME      The checkout's directory below DEVROOT (default: kaizen)
  --duplicate NAME         Make the project DEVROOT/NAME, which uses the programs that are installed
  --prefix DIR             The programs are in DIR/bin (default: ~/.local)
  --programs DIR           Install kaizend and kaizenctl from DIR instead of building them
  --service                Let systemd or launchd run kaizend for this user
  --no-dev-tools           Only what is needed: no jq, ripgrep, sqlite3
  --with-node              Node.js too: MCP servers, and one of the tests
  --with-cmake             CMake too
  --with-rust              Rust and a C compiler even with --programs

TEXT
    common_usage
}

identity_lines() { printf '  Source:    %s\n  Ref:       %s\n' "$repo_source" "${ref:-(default)}"; }
identity_json() {
    printf '  "repoSource": %s,\n  "ref": %s,\n' "$(json_string "$repo_source")" "$(json_string "$ref")"
}

package_manager() {
    local name
    for name in apt-get dnf yum pacman zypper brew; do
        if command -v "$name" >/dev/null; then
            echo "$name"
            return
        fi
    done
}

# The packages of a tool, by the package manager.
packages_of() {
    case $manager:$1 in
        apt-get:compiler) echo build-essential ;;
        pacman:compiler) echo base-devel ;;
        brew:compiler) ;;
        *:compiler) echo gcc make ;;
        apt-get:node | dnf:node | yum:node | zypper:node) echo nodejs npm ;;
        pacman:node) echo nodejs npm ;;
        *:node) echo node ;;
        apt-get:sqlite3 | zypper:sqlite3) echo sqlite3 ;;
        *:sqlite3) echo sqlite ;;
        *:certificates) echo ca-certificates ;;
        *) echo "$1" ;;
    esac
}

# install_packages PACKAGES
install_packages() {
    local sudo=() reason="install $*"
    needs_network "$reason"
    needs_external "$reason"
    [ -n "$manager" ] || fail "no package manager that is known here; $reason by hand" "$EX_UNAVAILABLE"
    if [ "$manager" != brew ] && [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "sudo is missing; as root, $reason with $manager" "$EX_UNAVAILABLE"
        sudo=(sudo)
    fi
    say "$manager: $*"
    case $manager in
        apt-get)
            if [ "$refreshed" = no ]; then run ${sudo[@]+"${sudo[@]}"} apt-get update || return 1; fi
            refreshed=yes
            run ${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y "$@"
            ;;
        dnf | yum) run ${sudo[@]+"${sudo[@]}"} "$manager" install -y "$@" ;;
        pacman) run ${sudo[@]+"${sudo[@]}"} pacman -S --noconfirm --needed "$@" ;;
        zypper) run ${sudo[@]+"${sudo[@]}"} zypper --non-interactive install "$@" ;;
        brew) run brew install "$@" ;;
    esac
}

has_cargo() {
    if ! command -v cargo >/dev/null; then PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH; fi
    command -v cargo >/dev/null
}

has_compiler() { command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null; }

step_preflight() {
    say "$(uname -s) $(uname -m), package manager ${manager:-unknown}, DEVROOT $dev_root"
}

# ask QUESTION: yes or no; no when there is nobody to ask.
ask() {
    local answer
    if ! can_ask; then return 1; fi
    printf '    %s [y/N] ' "$1"
    read -r answer || return 1
    case $answer in [yY] | [yY][eE][sS]) return 0 ;; *) return 1 ;; esac
}

step_toolselect() {
    if [ "$with_node" = no ] && ask "Install Node.js, for MCP servers and one of the tests?"; then with_node=yes; fi
    if [ "$with_cmake" = no ] && ask "Install CMake?"; then with_cmake=yes; fi
    say "Rust: $([ "$with_rust" = yes ] && echo yes || echo "not needed"), Node.js: $with_node, CMake: $with_cmake"
}

step_prereqs() {
    local missing=()
    if ! command -v git >/dev/null; then missing+=(git); fi
    if [ "$with_rust" = yes ]; then
        # shellcheck disable=SC2207
        if ! has_compiler; then missing+=($(packages_of compiler)); fi
        # The toolchain that rust-toolchain.toml names comes from rustup; distributions are often behind.
        if ! has_cargo; then missing+=(rustup); fi
    fi
    if [ "$(uname -s)" = Linux ] && [ ! -e /etc/ssl/certs ] && [ ! -e /etc/pki ]; then missing+=(ca-certificates); fi
    if [ ${#missing[@]} = 0 ]; then
        say "everything is there"
    else
        install_packages "${missing[@]}" ||
            fail "install these by hand: ${missing[*]}. Rust without a package: https://rustup.rs" "$EX_UNAVAILABLE"
    fi
    if [ "$with_rust" = yes ]; then
        has_compiler || fail "a C compiler is missing. macOS: xcode-select --install" "$EX_UNAVAILABLE"
        if ! has_cargo || ! cargo --version >/dev/null 2>&1; then
            command -v rustup >/dev/null || fail "Rust is missing: https://rustup.rs" "$EX_UNAVAILABLE"
            needs_network "download the Rust toolchain"
            run rustup default stable || fail "rustup cannot install a toolchain" "$EX_UNAVAILABLE"
        fi
    fi
}

# Nothing here is needed, so nothing here is a failure.
step_devtools() {
    local tool wanted=()
    if [ "$dev_tools" = yes ]; then
        for tool in jq sqlite3; do
            # shellcheck disable=SC2207
            if ! command -v $tool >/dev/null; then wanted+=($(packages_of $tool)); fi
        done
        if ! command -v rg >/dev/null; then wanted+=(ripgrep); fi
    fi
    # shellcheck disable=SC2207
    if [ "$with_node" = yes ] && ! command -v node >/dev/null; then wanted+=($(packages_of node)); fi
    if [ "$with_cmake" = yes ] && ! command -v cmake >/dev/null; then wanted+=(cmake); fi
    if [ ${#wanted[@]} = 0 ]; then
        skip "nothing to install"
    elif [ -z "$manager" ] || [ "$no_network" = 1 ] || [ "$no_external" = 1 ]; then
        skip "cannot install ${wanted[*]} here"
    elif ! install_packages "${wanted[@]}"; then
        skip "${wanted[*]} could not be installed"
    fi
}

step_devroot() {
    mkdir -p -- "$dev_root" || fail "cannot make $dev_root" "$EX_UNAVAILABLE"
    say "$dev_root"
}

step_clone() {
    local checkout=$dev_root/$project_name
    if [ -e "$checkout/.git" ]; then
        if [ "$no_network" = 1 ] && [ ! -d "$repo_source" ]; then
            skip "--no-network: the checkout stays as it is"
        elif [ -n "$ref" ]; then
            run git -C "$checkout" fetch origin "$ref" || warn "the checkout could not be updated"
            run git -C "$checkout" checkout "$ref" || warn "$ref could not be checked out; the checkout stays as it is"
        else
            run git -C "$checkout" pull --ff-only || warn "the checkout could not be updated; it stays as it is"
        fi
        return
    fi
    if [ -e "$checkout" ]; then fail "$checkout is there and is no git checkout; move it aside"; fi
    if [ ! -d "$repo_source" ]; then needs_network "clone $repo_source"; fi
    if [ -n "$ref" ]; then
        run git clone --branch "$ref" -- "$repo_source" "$checkout" || fail "cannot clone $repo_source" "$EX_UNAVAILABLE"
    else
        run git clone -- "$repo_source" "$checkout" || fail "cannot clone $repo_source" "$EX_UNAVAILABLE"
    fi
}

step_handoff() {
    local arguments=("$dev_root" --prefix "$prefix" --project-name "$project_name")
    [ -x "$dev_root/$project_name/setup/setup.sh" ] || fail "the checkout has no setup/setup.sh" "$EX_UNAVAILABLE"
    if [ -n "$programs" ]; then arguments+=(--programs "$programs"); fi
    if [ "$service" = yes ]; then arguments+=(--service); fi
    if [ "$no_progress" = 1 ]; then arguments+=(--no-progress); fi
    if [ "$no_network" = 1 ]; then arguments+=(--no-network); fi
    if [ "$no_external" = 1 ]; then arguments+=(--no-external-actions); fi
    if [ "$no_user_env" = 1 ]; then arguments+=(--no-user-env-writes); fi
    if [ "$assume_yes" = 1 ]; then arguments+=(--assume-yes); fi
    if [ "$no_input" = 1 ]; then arguments+=(--no-input); fi
    # From here on setup.sh writes the state.
    settle OK ''
    release_lock
    trap - EXIT
    exec "$dev_root/$project_name/setup/setup.sh" "${arguments[@]}"
}

# ---- a further project ----

step_duplicate_preflight() {
    kaizenctl=$prefix/bin/kaizenctl
    if [ ! -x "$kaizenctl" ]; then kaizenctl=$(command -v kaizenctl || true); fi
    if [ -z "$kaizenctl" ] || ! "$kaizenctl" --version >/dev/null; then
        fail "kaizenctl is not installed; run install-kaizen.sh without --duplicate first" "$EX_UNAVAILABLE"
    fi
    say "$("$kaizenctl" --version) at $kaizenctl"
}

step_duplicate_create() {
    if [ -e "$target" ] && { [ ! -d "$target" ] || [ -n "$(ls -A "$target")" ]; }; then
        usage_error "$target is there and not empty"
    fi
    mkdir -p -- "$target" || fail "cannot make $target" "$EX_UNAVAILABLE"
    "$kaizenctl" init "$target" --json >/dev/null
    say "$target"
}

step_duplicate_wrapper() {
    write_if_changed "$target/kaizen.sh" <<TEXT
#!/bin/sh
# kaizenctl for this project, wherever it is called from. A KAIZEN_REPO_ROOT that is set already wins. Made by
# $installer.
[ -n "\${KAIZEN_REPO_ROOT:-}" ] || KAIZEN_REPO_ROOT=$(shell_word "$target")
export KAIZEN_REPO_ROOT
exec $(shell_word "$kaizenctl") "\$@"
TEXT
    chmod 755 "$target/kaizen.sh"
    say "$target/kaizen.sh"
}

step_duplicate_db() { KAIZEN_REPO_ROOT='' "$target/kaizen.sh" K1 --json >/dev/null; }

step_duplicate_skills() {
    local checkout
    mkdir -p -- "$skill_store"
    # The standing INDEX.md comes from a checkout, if there is one.
    for checkout in "$dev_root/$project_name" "$dev_root"/*; do
        if [ -f "$checkout/setup/link-skills.sh" ] && [ -f "$checkout/.agents/skills/INDEX.md" ]; then
            link_skills "$target" "$checkout"
            return
        fi
    done
    link_skills "$target" ''
}

step_duplicate_workspace() { write_workspace "$target" "$duplicate" yes; }

step_duplicate_summary() {
    say "$target is a project of its own: its records are in $target/AI/db"
    say "work in it: cd $target && kaizenctl R0"
}

main() {
    installer=install-kaizen.sh
    : "${HOME:?HOME is not set}"
    repo_source=${KAIZEN_REPO_SOURCE:-https://github.com/kaizen-system/kaizen}
    ref=''
    project_name=kaizen
    duplicate=''
    prefix=$HOME/.local
    programs=''
    service=no
    dev_tools=yes
    with_node=no
    with_cmake=no
    with_rust=no
    refreshed=no
    manager=$(package_manager)
    local positional=''
    while [ $# -gt 0 ]; do
        common_flag "$@"
        if [ "$taken" = 0 ]; then
            taken=1
            case $1 in
                --ref | --repo-source | --project-name | --duplicate | --prefix | --programs)
                    flag_value "$@"
                    taken=2
                    ;;
            esac
            case $1 in
                --ref) ref=$2 ;;
                --repo-source) repo_source=$2 ;;
                --project-name) project_name=$2 ;;
                --duplicate) duplicate=$2 ;;
                --prefix) prefix=$2 ;;
                --programs) programs=$2 ;;
                --service) service=yes ;;
                --no-dev-tools) dev_tools=no ;;
                --with-node) with_node=yes ;;
                --with-cmake) with_cmake=yes ;;
                --with-rust) with_rust=yes ;;
                -*) usage_error "unknown flag $1" ;;
                *)
                    if [ -n "$positional" ]; then usage_error "unknown argument $1"; fi
                    positional=$1
                    ;;
            esac
        fi
        shift "$taken"
    done
    case $ref in -*) usage_error "a ref cannot start with a dash" ;; esac
    valid_name "$project_name" || usage_error "the name $project_name has characters other than A-Z a-z 0-9 . _ -"
    if [ -n "$dev_root_given" ] && [ -n "$positional" ]; then usage_error "DEVROOT is given twice"; fi
    use_dev_root "${dev_root_given:-${positional:-${DEVROOT:-}}}" "$HOME/dev"
    prefix=$(absolute_directory "$prefix") || exit "$EX_USAGE"
    if [ -n "$programs" ]; then
        [ -d "$programs" ] || fail "there is no directory $programs" "$EX_UNAVAILABLE"
        programs=$(cd -- "$programs" && pwd -P)
    else
        with_rust=yes
    fi
    if [ -d "$repo_source" ]; then repo_source=$(cd -- "$repo_source" && pwd -P); fi

    if [ -n "$duplicate" ]; then
        valid_name "$duplicate" || usage_error "the name $duplicate has characters other than A-Z a-z 0-9 . _ -"
        target=$dev_root/$duplicate
        step preflight "Look for the installed programs" step_duplicate_preflight
        step create "Make the project" step_duplicate_create
        step wrapper "Write kaizen.sh" step_duplicate_wrapper
        step db "Open the data plane" step_duplicate_db
        step skills "Link the skill store" step_duplicate_skills
        step workspace "Write the editor's workspace" step_duplicate_workspace
        step summary "Say what was made" step_duplicate_summary
    else
        if [ -z "$dev_root_given$positional${DEVROOT:-}" ] && [ "$list_steps$plan_only$self_test" = 000 ] && can_ask; then
            local answer
            printf 'DEVROOT, the directory above the projects [%s]: ' "$dev_root"
            read -r answer || answer=''
            if [ -n "$answer" ]; then use_dev_root "$answer" ''; fi
        fi
        step preflight "Look at this machine" step_preflight
        step toolselect "Choose optional tools" step_toolselect
        step prereqs "Install what is needed" step_prereqs
        step devtools "Install optional tools" step_devtools
        step devroot "Make DEVROOT" step_devroot
        step clone "Clone or update the checkout" step_clone
        step handoff "Hand over to setup.sh" step_handoff
    fi
    run_steps
}

# Last, so that a download that broke off does nothing.
main "$@"

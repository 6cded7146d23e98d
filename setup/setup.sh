#!/usr/bin/env bash
# Builds and installs kaizend and kaizenctl, opens a project's data plane, and records the installation in it.
# Safe to run again: what is up to date stays, and nothing is recorded twice.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
installer=setup.sh
# shellcheck source=setup/lib.sh
. "$repository/setup/lib.sh"

usage() {
    cat <<'TEXT'
Usage: ./setup/setup.sh [DEVROOT] [--project DIR] [--prefix DIR] [--programs DIR] [--service] [FLAGS]
       ./setup/setup.sh --uninstall [--prefix DIR] [FLAGS]

  DEVROOT                  The directory above the projects: logs, the state file and the skill store are there.
                           Default: $DEVROOT, else the directory above this repository
  --project DIR            The project whose data plane is opened (default: this repository)
  --project-name NAME      Its name in the editor's workspace (default: its directory's name)
  --prefix DIR             Install into DIR/bin (default: ~/.local)
  --programs DIR           Install kaizend and kaizenctl from DIR instead of building them
  --service                Let systemd or launchd run kaizend for this user
  --uninstall              Remove what setup installed. Data planes (AI/db), logs and skills stay

TEXT
    common_usage
}

identity_lines() { printf '  RepoRoot:  %s\n' "$repository"; }
identity_json() { printf '  "repoRoot": %s,\n' "$(json_string "$repository")"; }

modes_from_environment
: "${HOME:?HOME is not set}"
project=$repository
project_name=${KAIZEN_PROJECT_NAME:-}
prefix=$HOME/.local
programs=''
service=no
uninstall=no
positional=''
while [ $# -gt 0 ]; do
    common_flag "$@"
    if [ "$taken" = 0 ]; then
        taken=1
        case $1 in
            --project) flag_value "$@"; project=$2; taken=2 ;;
            --project-name) flag_value "$@"; project_name=$2; taken=2 ;;
            --prefix) flag_value "$@"; prefix=$2; taken=2 ;;
            --programs) flag_value "$@"; programs=$2; taken=2 ;;
            --service) service=yes ;;
            --uninstall) uninstall=yes ;;
            -*) usage_error "unknown flag $1" ;;
            *)
                if [ -n "$positional" ]; then usage_error "unknown argument $1"; fi
                positional=$1
                ;;
        esac
    fi
    shift "$taken"
done
if [ -n "$dev_root_given" ] && [ -n "$positional" ]; then usage_error "DEVROOT is given twice"; fi
use_dev_root "${dev_root_given:-${positional:-${DEVROOT:-}}}" "$repository/.."
[ -d "$project" ] || fail "there is no directory $project" "$EX_UNAVAILABLE"
project=$(cd -- "$project" && pwd -P)
prefix=$(absolute_directory "$prefix") || exit "$EX_USAGE"
bin=$prefix/bin
if [ -z "$project_name" ]; then
    # A directory may be called anything; the names of files made from it may not.
    project_name=$(basename -- "$project" | LC_ALL=C tr -c 'A-Za-z0-9._\n-' '-')
fi
valid_name "$project_name" || usage_error "the project name $project_name has characters other than A-Z a-z 0-9 . _ -"

data_home=${XDG_DATA_HOME:-$HOME/.local/share}
config_home=${XDG_CONFIG_HOME:-$HOME/.config}
bash_completion=$data_home/bash-completion/completions/kaizenctl
zsh_completion=$data_home/zsh/site-functions/_kaizenctl
fish_completion=$config_home/fish/completions/kaizenctl.fish
systemd_unit=$config_home/systemd/user/kaizend.service
launchd_plist=$HOME/Library/LaunchAgents/dev.kaizen.kaizend.plist

kaizen() { KAIZEN_ACTOR=setup "$bin/kaizenctl" "$@" --project "$project"; }
# The value of a key of a one-line JSON reply.
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }
sha() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}
# Whether the first version is at least the second; both as 1.94.0.
at_least() {
    awk -v have="$1" -v need="$2" 'BEGIN {
        split(have, h, "[.]"); split(need, n, "[.]")
        for (i = 1; i <= 3; i++) if (h[i] + 0 != n[i] + 0) exit (h[i] + 0 < n[i] + 0)
        exit 0
    }'
}

step_preflight() {
    local need have
    if [ -n "$programs" ]; then
        [ -d "$programs" ] || fail "there is no directory $programs" "$EX_UNAVAILABLE"
        programs=$(cd -- "$programs" && pwd -P)
        daemon=$programs/kaizend
        client=$programs/kaizenctl
        if [ ! -f "$daemon" ] || [ ! -f "$client" ]; then
            fail "$programs does not hold kaizend and kaizenctl" "$EX_UNAVAILABLE"
        fi
        have=$("$client" --version) || fail "the programs in $programs do not run here" "$EX_UNAVAILABLE"
        need=$("$daemon" --version) || fail "the programs in $programs do not run here" "$EX_UNAVAILABLE"
        [ "${have#* }" = "${need#* }" ] || fail "$have and $need are of different releases" "$EX_UNAVAILABLE"
        say "programs of release ${have#* } from $programs"
        return
    fi
    # rustup installs outside PATH until the next login.
    command -v cargo >/dev/null || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    command -v cargo >/dev/null ||
        fail "cargo is missing. Install Rust with rustup (https://rustup.rs), or on Debian: apt-get install rustup && rustup default stable" "$EX_UNAVAILABLE"
    command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ||
        fail "a C compiler is missing (SQLite is built from source). Debian and Ubuntu: apt-get install build-essential. Fedora: dnf install gcc. macOS: xcode-select --install" "$EX_UNAVAILABLE"
    need=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$repository/Cargo.toml")
    # In the repository, because rust-toolchain.toml counts there.
    have=$(cd "$repository" && cargo --version | awk '{print $2}')
    at_least "${have%%-*}" "$need" || fail "Rust $need is needed, and cargo is $have. Install rustup (https://rustup.rs)" "$EX_UNAVAILABLE"
    say "cargo $have"
}

step_build() {
    local target host offline=''
    if [ -n "$programs" ]; then
        skip "--programs names built ones"
        return
    fi
    if [ "$no_network" = 1 ]; then offline=--offline; fi
    cd "$repository"
    target=${CARGO_TARGET_DIR:-$repository/target}
    say "kaizend (release); the first build takes some minutes"
    run cargo build --locked $offline --quiet --release --package kaizend || fail "kaizend does not build"
    daemon=$target/release/kaizend
    # A static client without position independence starts faster. Where the C library cannot be linked that way, the
    # ordinary build does as well.
    host=$(rustc -vV | sed -n 's/^host: //p')
    say "kaizenctl (static)"
    if RUSTFLAGS="-C target-feature=+crt-static -C relocation-model=static" \
        run cargo build --locked $offline --quiet --profile client --package kaizenctl --target "$host" 2>/dev/null; then
        client=$target/$host/client/kaizenctl
    else
        say "a static build is not possible here; building an ordinary one"
        run cargo build --locked $offline --quiet --profile client --package kaizenctl || fail "kaizenctl does not build"
        client=$target/client/kaizenctl
    fi
}

install_program() {
    if [ -f "$bin/$2" ] && cmp -s "$1" "$bin/$2"; then return; fi
    # A rename replaces a program that runs just now; writing into it would fail.
    cp -- "$1" "$bin/.$2.new"
    chmod 755 "$bin/.$2.new"
    mv -f -- "$bin/.$2.new" "$bin/$2"
    changed=yes
    say "installed $bin/$2"
}

step_programs() {
    changed=no
    mkdir -p -- "$bin"
    install_program "$daemon" kaizend
    install_program "$client" kaizenctl
    if [ "$changed" = yes ]; then
        # A daemon of the build before finishes what it does; the next call starts the new one.
        "$bin/kaizenctl" daemon stop --all --json >/dev/null
    else
        say "the installed programs are up to date"
    fi
}

# install_completion SHELL FILE
install_completion() {
    "$bin/kaizenctl" completions "$1" | write_if_changed "$2"
    say "$1: $2"
}

step_completions() {
    install_completion bash "$bash_completion"
    if command -v zsh >/dev/null; then install_completion zsh "$zsh_completion"; fi
    if command -v fish >/dev/null || [ -d "$config_home/fish" ]; then install_completion fish "$fish_completion"; fi
}

environment_text() {
    cat <<TEXT
# The environment of Kaizen, for sh, bash and zsh. Made by setup.sh: changes are lost with its next run.
export DEVROOT=$(shell_word "$dev_root")
case ":\$PATH:" in
    *:$(shell_word "$bin"):*) ;;
    *) export PATH=$(shell_word "$bin"):"\$PATH" ;;
esac
# Where bash-completion is missing, and for zsh, the completions are loaded from here.
if [ -n "\${BASH_VERSION-}" ] && [ -z "\${BASH_COMPLETION_VERSINFO-}" ] && [ -r $(shell_word "$bash_completion") ]; then
    case \$- in
        *i*) . $(shell_word "$bash_completion") ;;
    esac
fi
if [ -n "\${ZSH_VERSION-}" ]; then
    kaizen_functions=$(shell_word "$(dirname -- "$zsh_completion")")
    eval 'fpath=("\$kaizen_functions" \$fpath)
        if (( \$+functions[compdef] )); then autoload -Uz _kaizenctl; compdef _kaizenctl kaizenctl; fi'
    unset kaizen_functions
fi
TEXT
}

step_environment() {
    local line file
    environment_text | write_if_changed "$env_file"
    say "$env_file"
    if [ "$no_user_env" = 1 ]; then
        skip "--no-user-env-writes: source $env_file yourself"
        return
    fi
    line="[ ! -r $(shell_word "$env_file") ] || . $(shell_word "$env_file")"
    for file in "$HOME/.profile" "$HOME/.bashrc" "$HOME/.zshrc"; do
        # The first always; the others only when they are there.
        if [ "$file" = "$HOME/.profile" ] || [ -f "$file" ]; then
            set_marked_line "$file" "$line"
            if [ "$written" = 1 ]; then say "$file reads it"; fi
        fi
    done
}

step_skills() {
    mkdir -p -- "$skill_store"
    if [ "$project" != "$repository" ]; then
        skip "$project is not this repository; setup/link-skills.sh --project links skills there"
        return
    fi
    link_skills "$project" "$repository"
    say "the store is $skill_store"
}

step_workspace() {
    if [ "$project" != "$repository" ]; then
        skip "$project is not this repository"
        return
    fi
    write_workspace "$project" "$project_name" no
}

service_kind() {
    case $(uname -s) in
        Darwin) echo launchd ;;
        *) echo systemd ;;
    esac
}

# A word of an ExecStart line: quoted, with what systemd would expand doubled.
systemd_word() { printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g; s/%/%%/g; s/\$/$$/g')"; }
xml_text() { printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }

systemd_text() {
    cat <<TEXT
# Made by setup.sh --service.
[Unit]
Description=Kaizen daemon, the owner of this user's data planes

[Service]
Type=exec
# A daemon that kaizenctl has started finishes what it does and makes room.
ExecStartPre=-$(systemd_word "$bin/kaizenctl") daemon stop --all
ExecStart=$(systemd_word "$bin/kaizend")
# A service does not end when it is idle.
Environment=KAIZEN_IDLE_EXIT=315360000
Restart=on-failure
RestartSec=2
# Stopping finishes the calls that are under way; the daemon gives them 30 seconds.
TimeoutStopSec=45
UMask=0077
# Only what works for a user's own manager, and for the programs that the daemon starts.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native

[Install]
WantedBy=default.target
TEXT
}

launchd_text() {
    cat <<TEXT
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>dev.kaizen.kaizend</string>
    <key>ProgramArguments</key>
    <array>
        <string>$(xml_text "$bin/kaizend")</string>
    </array>
    <key>EnvironmentVariables</key>
    <dict>
        <key>KAIZEN_IDLE_EXIT</key>
        <string>315360000</string>
    </dict>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key>
        <false/>
    </dict>
    <key>ExitTimeOut</key>
    <integer>45</integer>
    <key>ProcessType</key>
    <string>Background</string>
</dict>
</plist>
TEXT
}

step_service() {
    if [ "$service" = no ]; then
        skip "--service was not given; kaizenctl starts the daemon when it needs it"
        return
    fi
    needs_external "start kaizend as a service"
    if [ "$(service_kind)" = launchd ]; then
        launchd_text | write_if_changed "$launchd_plist"
        say "$launchd_plist"
        "$bin/kaizenctl" daemon stop --all --json >/dev/null
        launchctl bootout "gui/$(id -u)/dev.kaizen.kaizend" 2>/dev/null || true
        if launchctl bootstrap "gui/$(id -u)" "$launchd_plist"; then
            say "launchd runs kaizend"
        else
            say "start it after logging in: launchctl bootstrap gui/$(id -u) $launchd_plist"
        fi
        return
    fi
    systemd_text | write_if_changed "$systemd_unit"
    say "$systemd_unit"
    if command -v systemctl >/dev/null && systemctl --user show-environment >/dev/null 2>&1; then
        run systemctl --user daemon-reload || fail "systemd does not take the unit"
        run systemctl --user enable kaizend.service || fail "systemd does not enable the unit"
        run systemctl --user restart kaizend.service || fail "kaizend does not start: systemctl --user status kaizend"
        say "systemd runs kaizend. To keep it running while you are logged out: loginctl enable-linger"
    else
        say "systemctl --user does not work here. Where it does: systemctl --user daemon-reload && systemctl --user enable --now kaizend"
    fi
}

step_db() {
    kaizen K1 --json >/dev/null
    say "the data plane of $project is open"
}

# The hashes of what was installed are the evidence. The record is made once for each pair of programs.
step_record() {
    local evidence task artifact conclusion
    evidence=AI/work/install/$(sha "$bin/kaizend" | cut -c1-12)-$(sha "$bin/kaizenctl" | cut -c1-12).txt
    mkdir -p -- "$project/AI/work/install"
    if [ -f "$project/$evidence" ] && kaizen A4 --query "$evidence" --json | grep -q '"count":[1-9]'; then
        skip "this installation is recorded already"
        return
    fi
    {
        printf 'kaizend   %s  %s\n' "$(sha "$bin/kaizend")" "$("$bin/kaizend" --version)"
        printf 'kaizenctl %s  %s\n' "$(sha "$bin/kaizenctl")" "$("$bin/kaizenctl" --version)"
        if [ -z "$programs" ]; then rustc --version; fi
    } >"$project/$evidence"
    task=$(kaizen W1 --title "Install kaizend and kaizenctl" \
        --summary "Install both programs for this user." --json | field id)
    artifact=$(kaizen A1 --path "$evidence" --task-id "$task" --kind installation \
        --summary "SHA-256 and version of the installed programs." --json | field id)
    kaizen K1 --integrity --json >"$project/AI/work/install/integrity.json"
    if grep -q '"integrity":{"ok":true' "$project/AI/work/install/integrity.json"; then
        conclusion=VERIFIED_ACCEPTABLE
    else
        conclusion=VERIFICATION_FAILED
    fi
    kaizen Q2 --task-id "$task" --conclusion "$conclusion" \
        --summary "Both programs run, the daemon answers, and the full check of the data plane was read." \
        --evidence "[\"$evidence\", \"AI/work/install/integrity.json\"]" --artifact-ids "[\"$artifact\"]" --json >/dev/null
    kaizen W2 --id "$task" --task-id "$task" --status "done" \
        --summary "Installed; the hashes are recorded as artifact $artifact." --json >/dev/null
    [ "$conclusion" = VERIFIED_ACCEPTABLE ] ||
        fail "the full check found faults: see $project/AI/work/install/integrity.json"
    say "the installation is recorded as task $task"
}

step_summary() {
    case :$PATH: in
        *:"$bin":*) ;;
        *) say "new shells find kaizenctl; in this one: . $env_file" ;;
    esac
    case ${SHELL:-} in
        */fish) say "fish reads no env.sh: fish_add_path $bin" ;;
    esac
    say "the digest of $project"
    kaizen R0
}

remove_file() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        rm -f -- "$1"
        say "removed $1"
    fi
}

step_remove_service() {
    if [ -e "$systemd_unit" ]; then
        if command -v systemctl >/dev/null && systemctl --user show-environment >/dev/null 2>&1; then
            needs_external "take kaizend out of systemd"
            run systemctl --user disable --now kaizend.service || warn "systemd did not stop kaizend"
            remove_file "$systemd_unit"
            run systemctl --user daemon-reload || true
        else
            remove_file "$systemd_unit"
        fi
    elif [ -e "$launchd_plist" ]; then
        needs_external "take kaizend out of launchd"
        launchctl bootout "gui/$(id -u)/dev.kaizen.kaizend" 2>/dev/null || true
        remove_file "$launchd_plist"
    else
        skip "no service is installed"
    fi
}

step_remove_programs() {
    if [ -x "$bin/kaizenctl" ]; then "$bin/kaizenctl" daemon stop --all >/dev/null || true; fi
    rm -f -- "$bin/kaizenctl" "$bin/kaizend"
    say "removed $bin/kaizenctl and $bin/kaizend"
}

step_remove_completions() {
    remove_file "$bash_completion"
    remove_file "$zsh_completion"
    remove_file "$fish_completion"
}

step_remove_environment() {
    local file
    if [ "$no_user_env" = 1 ]; then
        skip "--no-user-env-writes"
        return
    fi
    for file in "$HOME/.profile" "$HOME/.bashrc" "$HOME/.zshrc"; do
        set_marked_line "$file"
        if [ "$written" = 1 ]; then say "$file is as before"; fi
    done
    remove_file "$env_file"
    say "data planes (AI/db), logs and skills stay"
}

if [ "$uninstall" = yes ]; then
    step service "Take kaizend out of the service manager" step_remove_service
    step programs "Stop the daemon and remove the programs" step_remove_programs
    step completions "Remove the completions" step_remove_completions
    step environment "Take env.sh out of the shells' profiles" step_remove_environment
else
    step preflight "Look for what is needed" step_preflight
    step build "Build kaizend and kaizenctl" step_build
    step programs "Install the programs" step_programs
    step completions "Install completions for the shells" step_completions
    step environment "Write env.sh and let the shells read it" step_environment
    step skills "Link the skill store" step_skills
    step workspace "Write the editor's workspace" step_workspace
    step service "Run kaizend as a service" step_service
    step db "Open the data plane" step_db
    step record "Record the installation" step_record
    step summary "Show the digest" step_summary
fi
run_steps

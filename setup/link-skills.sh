#!/usr/bin/env bash
# Links the skills of the store, DEVROOT/SKILLS/skills, into a project's .agents/skills and .claude/skills.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
installer=link-skills.sh
# shellcheck source=setup/lib.sh
. "$repository/setup/lib.sh"
usage_status=2

usage() {
    cat <<'TEXT'
Usage: ./setup/link-skills.sh [STORE_URL] [--project DIR] [FLAGS]

  STORE_URL, --store-url URL   Clone this repository as the store, or update the clone that is there. Its folders with a
                               SKILL.md are the skills
  --project DIR                The project to link them into (default: this repository)

TEXT
    common_usage
    printf 'Here the status of a wrong call is 2.\n'
}

identity_lines() { printf '  RepoRoot:  %s\n' "$repository"; }
identity_json() { printf '  "repoRoot": %s,\n' "$(json_string "$repository")"; }

modes_from_environment
: "${HOME:?HOME is not set}"
store_url=''
project=$repository
while [ $# -gt 0 ]; do
    common_flag "$@"
    if [ "$taken" = 0 ]; then
        taken=1
        case $1 in
            --store-url)
                flag_value "$@"
                store_url=$2
                taken=2
                ;;
            --project)
                flag_value "$@"
                project=$2
                taken=2
                ;;
            -*) usage_error "unknown flag $1" ;;
            *)
                if [ -n "$store_url" ]; then usage_error "unknown argument $1"; fi
                store_url=$1
                ;;
        esac
    fi
    shift "$taken"
done
use_dev_root "${dev_root_given:-${DEVROOT:-}}" "$repository/.."
[ -d "$project" ] || fail "there is no directory $project"
project=$(cd -- "$project" && pwd -P)

step_preflight() {
    if [ -z "$store_url" ]; then
        [ -d "$skill_store" ] || fail "there is no store at $skill_store; make it, or name a STORE_URL to clone"
        return
    fi
    command -v git >/dev/null || fail "git is missing" "$EX_UNAVAILABLE"
    needs_network "clone or update the store"
    needs_external "clone or update the store"
}

step_store() {
    if [ -z "$store_url" ]; then
        skip "no STORE_URL: the store is taken as it is"
    elif [ -e "$skill_store/.git" ]; then
        run git -C "$skill_store" pull --ff-only || fail "the store cannot be updated"
    elif [ -d "$skill_store" ] && [ -n "$(ls -A "$skill_store")" ]; then
        fail "$skill_store holds something and is no clone; move it aside first"
    else
        mkdir -p -- "$(dirname -- "$skill_store")"
        run git clone -- "$store_url" "$skill_store" || fail "the store cannot be cloned"
    fi
}

step_links() { link_skills "$project" "$repository"; }

step_index() {
    local mirror
    for mirror in .agents .claude; do
        [ -f "$project/$mirror/skills/INDEX.md" ] || fail "$mirror/skills/INDEX.md is missing" "$EX_SOFTWARE"
        say "$project/$mirror/skills/LINKED.md"
    done
}

step preflight "Look for the store" step_preflight
step store "Clone or update the store" step_store
step links "Link the skills" step_links
step index "Check the index and list what is linked" step_index
run_steps

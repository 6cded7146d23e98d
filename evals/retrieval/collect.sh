#!/usr/bin/env bash
# Collects the documents that the questions of questions.jsonl are about: manuals that other people wrote, as Debian and
# PyPI ship them. Nothing is installed. Every package is unpacked below a temporary directory, its documents are copied,
# packed ones (.gz) unpacked.
#
#     evals/retrieval/collect.sh DIRECTORY
#
# DIRECTORY must not exist yet. Wanted: Debian 12 with apt-get, dpkg-deb, man, python3 with pip, 1 GB of
# space and the network. At the end the script prints which versions it found and how many files of each format there are.
# Other versions of the packages work too, but then a question may ask for a passage that has been rewritten.
set -euo pipefail

if [[ $# -ne 1 || -e $1 ]]; then
    echo "usage: $0 DIRECTORY (which must not exist yet)" >&2
    exit 2
fi
mkdir -p "$1"
corpus=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
versions="$work/versions"

# debian PACKAGE: unpacks a Debian package into $work/PACKAGE.
debian() {
    mkdir "$work/deb"
    (cd "$work/deb" && apt-get download -qq "$1" 2>/dev/null)
    dpkg-deb -f "$work"/deb/*.deb Package Version | paste -sd' ' >>"$versions"
    dpkg-deb -x "$work"/deb/*.deb "$work/$1"
    rm -r "$work/deb"
}

# pypi NAME VERSION: unpacks a source distribution into $work/NAME.
pypi() {
    mkdir "$work/sdist" "$work/$1"
    python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: -d "$work/sdist" "$1==$2"
    tar -xzf "$work"/sdist/*.tar.gz -C "$work/$1" --strip-components=1
    echo "PyPI: $1 Version: $2" >>"$versions"
    rm -r "$work/sdist"
}

# take FROM TO [find's conditions]: copies the regular files below $work/FROM, folders and all, to TO in the corpus.
take() {
    local from="$work/$1" to="$corpus/$2" file target
    shift 2
    if [[ -z $(find "$from" -type f "$@" -print -quit) ]]; then
        echo "nothing to take from $from: has the package changed?" >&2
        exit 1
    fi
    while IFS= read -r -d '' file; do
        target="$to/${file#"$from"/}"
        mkdir -p "$(dirname "$target")"
        case $file in
            *.gz) gunzip -c "$file" >"${target%.gz}" ;;
            *) cp "$file" "$target" ;;
        esac
    done < <(find "$from" -type f "$@" -print0)
}

# manual PACKAGE SECTION STEP: every so many-th page of a section, as man shows it to a reader.
manual() {
    local page name
    while IFS= read -r page; do
        name=$(basename "$page" .gz)
        # A page that only names another one would be that page once more.
        if zcat "$page" | head -n 5 | grep -q '^\.so '; then continue; fi
        MANWIDTH=80 LC_ALL=C.UTF-8 MAN_KEEP_FORMATTING='' man -P cat -l "$page" 2>/dev/null |
            col -bx >"$corpus/man/$name.txt"
    done < <(find "$work/$1/usr/share/man/man$2" -type f -name '*.gz' | LC_ALL=C sort | awk "NR % $3 == 0")
}

documents=(-name '*.html' -o -name '*.pdf' -o -name '*.txt' -o -name '*.txt.gz' -o -name '*.pdf.gz' -o -name '*.md' -o
    -name '*.rst' -o -name '*.csv')

# About Debian: the same kind of text as HTML, PDF and plain text. One of the three each, so that a question has one answer.
for package in debian-policy developers-reference debian-reference-en debian-faq doc-debian maint-guide; do debian "$package"; done
take debian-policy/usr/share/doc/debian-policy debian-policy \( -path '*/policy.html/*.html' -o -name '*.txt.gz' \) \
    ! -name 'policy*.txt.gz'
take developers-reference/usr/share developers-reference -name 'developers-reference.pdf'
take debian-reference-en/usr/share debian-reference -name '*.html'
take debian-faq/usr/share debian-faq -name '*.pdf.gz'
take doc-debian/usr/share/doc/debian doc-debian \( -name '*.txt' -o -name '*.txt.gz' \)
take maint-guide/usr/share maint-guide -name '*.pdf'
# Japanese, for texts without spaces between words.
debian developers-reference-ja
take developers-reference-ja/usr/share developers-reference-ja -name '*.html'

# Programming languages and databases: large manuals in HTML.
for package in python3.11-doc postgresql-doc-15 sqlite3-doc rust-doc; do debian "$package"; done
for part in faq howto library reference tutorial; do
    take "python3.11-doc/usr/share/doc/python3.11/html/$part" "python/$part" -name '*.html'
done
take python3.11-doc/usr/share/doc/python3.11/html/_sources/c-api python/c-api -name '*.rst.txt'
find "$corpus/python/c-api" -name '*.rst.txt' | while IFS= read -r file; do mv "$file" "${file%.txt}"; done
take postgresql-doc-15/usr/share/doc/postgresql-doc-15/html postgresql -name '*.html'
take sqlite3-doc/usr/share/doc/sqlite3 sqlite -name '*.html' ! -path '*/c3ref/*' ! -path '*/session/*' ! -path '*/releaselog/*'
for part in book nomicon reference rust-by-example; do
    take "rust-doc/usr/share/doc/rust-doc/html/$part" "rust/$part" -name '*.html' ! -name print.html \
        ! -path '*/first-edition/*' ! -path '*/second-edition/*' ! -path '*/2018-edition/*'
done

# Git: its commands.
debian git-doc
take git-doc/usr/share/doc/git-doc git -name 'git-*.html'

# Manuals as PDF, by TeX, groff and others.
for package in r-doc-pdf octave-doc graphviz-doc asymptote-doc sbcl-doc zsh-doc libmpfr-doc bash-doc valgrind \
    ghostscript-doc gnuplot-doc mpich-doc maxima-doc; do
    debian "$package"
    take "$package/usr/share" "pdf/$package" \( -name '*.pdf' -o -name '*.pdf.gz' \)
done
take ghostscript-doc/usr/share ghostscript -name '*.rst'
take asymptote-doc/usr/share asymptote -name '*.csv'

# Manual pages: formats and overviews, and some of the system calls and library functions.
mkdir "$corpus/man"
for package in manpages manpages-dev; do debian "$package"; done
manual manpages 5 1
manual manpages 7 1
manual manpages-dev 2 4
manual manpages-dev 3 8

# Sources of Python packages: reStructuredText, Markdown, tables, data, office documents.
pypi sphinx 8.1.3
pypi click 8.1.7
pypi mkdocs 1.6.1
pypi tablib 3.7.0
pypi jsonschema 4.23.0
pypi python-docx 1.1.2
take sphinx/doc sphinx \( "${documents[@]}" \)
take sphinx/tests sphinx-tests \( -name '*.csv' -o -name '*.pdf' \)
take click click \( "${documents[@]}" \)
take mkdocs mkdocs \( -name '*.md' -o -name '*.toml' -o -name '*.yml' \)
take tablib tablib \( "${documents[@]}" -o -name '*.xlsx' -o -name '*.xls' -o -name '*.ods' \)
take jsonschema jsonschema \( -name '*.md' -o -name '*.rst' -o -path '*draft2020-12*.json' \)
take python-docx python-docx \( "${documents[@]}" -o -name '*.docx' \)

echo "Packages:"
sort "$versions"
echo "Files by format:"
find "$corpus" -type f | sed 's/.*\.//' | sort | uniq -c | sort -rn
echo "Total: $(find "$corpus" -type f | wc -l) files, $(du -sm --apparent-size "$corpus" | cut -f1) MB"

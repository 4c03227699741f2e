# A package of Debian, from its source: fetched, built as a user without rights would, and looked at by dpkg.
needs="dpkg-buildpackage dh fakeroot help2man makeinfo apt-get"
prepare() {
    mkdir -p source
    echo 'all: ; cd source/hello-* && dpkg-buildpackage -b -uc -us' >Makefile
    echo source >.gitignore
}
build() {
    # The machine's own sources, with those of source packages beside them.
    mkdir -p "$CACHE/apt/lists/partial"
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed 's/^Types:.*/Types: deb-src/' >"$CACHE/apt/src.sources"
    sed -n 's/^deb /deb-src /p' /etc/apt/sources.list 2>/dev/null >"$CACHE/apt/src.list" || true
    set -- -qq -o Dir::Etc::SourceParts="$CACHE/apt" -o Dir::Etc::SourceList="$CACHE/apt/src.list" \
        -o Dir::State::Lists="$CACHE/apt/lists" -o APT::Sandbox::User=root
    apt-get "$@" update
    (cd source && apt-get "$@" --only-source source hello)
    make
    dpkg-deb --info source/hello_*.deb
}

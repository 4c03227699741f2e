# An image built by podman in two stages, and run once. It is made from nothing, so no registry is asked.
needs="podman runc busybox"
prepare() {
    cat >Containerfile <<'END'
FROM scratch AS build
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "echo built > /greeting"]

FROM scratch
COPY busybox /bin/busybox
COPY --from=build /greeting /greeting
CMD ["/bin/busybox", "cat", "/greeting"]
END
    cp "$(command -v busybox)" busybox
}
build() {
    set -- --root "$CACHE/containers" --runroot "$CACHE/run" --storage-driver vfs --runtime runc
    limits="--ulimit nofile=20000:20000 --ulimit nproc=1000:1000"
    # shellcheck disable=SC2086
    podman "$@" build $limits --network none --tag benign .
    # shellcheck disable=SC2086
    podman "$@" run $limits --network none --rm benign
    podman "$@" rmi benign
}

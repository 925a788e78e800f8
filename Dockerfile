# PACS Lab: one program on a small Debian. How to use it: docs/docker.md

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# `dist` is what is released: smaller and faster, and it takes longer
ARG PROFILE=release
# both caches outlive the build, so that the next one compiles only what has changed
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --package pacslab --profile "$PROFILE" \
    && install -D "target/$PROFILE/pacslab" /out/pacslab

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="PACS Lab" \
      org.opencontainers.image.description="A radiology department in one program, for teaching and tests. Not a medical device." \
      org.opencontainers.image.licenses="MIT"
# Group 0 may write to the folders: then any user will do, e.g. `--user 1000:0`, who owns the
# files in a folder of the host.
RUN useradd --uid 10001 --gid 0 --no-create-home --home-dir /data --shell /usr/sbin/nologin pacslab \
    && install -d -o 10001 -g 0 -m 0775 /data /worklists \
    && install -d /etc/pacslab
COPY LICENSE NOTICE /usr/share/doc/pacslab/
COPY --from=build /out/pacslab /usr/local/bin/pacslab
ENV PACSLAB__STORAGE__DIR=/data \
    PACSLAB__WORKLIST__DIR=/worklists
VOLUME ["/data", "/worklists"]
# a pacslab.toml that is mounted here is read
WORKDIR /etc/pacslab
USER 10001:0
# DICOM, HTTP, HL7
EXPOSE 4242 8042 2575
STOPSIGNAL SIGTERM
# the program asks its own DICOM door: nothing else has to be in the image
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["pacslab", "echo", "--host", "127.0.0.1", "--calling", "HEALTHCHECK", "--timeout", "4s"]
ENTRYPOINT ["pacslab"]
CMD ["serve", "--bind", "0.0.0.0"]

# One image for every architecture that Debian 12 has: nothing below names one.
FROM debian:bookworm AS build
WORKDIR /src
# The packages first, in a layer of their own: they change less often than the source.
COPY scripts/setup.sh scripts/setup.sh
RUN scripts/setup.sh build
COPY . .
RUN rm -rf build && scripts/build.sh release vipkeeper && strip build/vipkeeper

FROM debian:bookworm-slim
# The libraries that the program is linked to; kmod for the one modprobe of ip_vs; iptables for masquerading on kernels
# without nftables; dumb-init as PID 1, because notify scripts leave children behind that somebody has to reap.
# tests/house/test_image.py holds this list to the program.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
       ca-certificates \
       dumb-init \
       iptables \
       kmod \
       libcpp-httplib0.11 \
       libcpprest2.10 \
       libfmt9 \
       libnftables1 \
       libnl-3-200 \
       libnl-genl-3-200 \
       libprometheus-cpp-core1.0 \
       libsimdjson14 \
       libspdlog1.10 \
       libssl3 \
       libyaml-cpp0.7 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/vipkeeper /usr/bin/vipkeeper
# Where a kube-keepalived-vip manifest expects its program and its files: only its image has to change.
RUN ln -s /usr/bin/vipkeeper /kube-keepalived-vip \
    && mkdir -p /etc/keepalived /etc/haproxy /run/vipkeeper
ENTRYPOINT ["/usr/bin/dumb-init", "--single-child", "--", "/usr/bin/vipkeeper"]

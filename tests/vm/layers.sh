# Writes an archive as `docker save` does, of an image with 20 layers, to $1: more than older kernels take in one option.
set -eu
mkdir layers
cd layers
for number in $(seq 20); do
    mkdir -p tree/data tree/only
    echo "$number" >"tree/data/$number"
    echo "$number" >"tree/only/$number"
    if [ "$number" = 1 ]; then
        mkdir tree/bin
        cp /bin/busybox tree/bin/
        for name in sh sleep ls cat wc; do ln -s busybox tree/bin/$name; done
    fi
    tar --create --directory tree --file "$number.tar" .
    rm -r tree
done
listed() { for number in $(seq 20); do printf '%s"%s"' "$comma" "$($1 "$number")"; comma=,; done; }
name() { echo "$1.tar"; }
digest() { sha256sum "$1.tar" | sed 's/ .*//; s/^/sha256:/'; }
comma=
printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[%s]}}' "$(listed digest)" >config.json
printf '[{"Config":"config.json","RepoTags":["layers:1"],"Layers":[%s]}]' "$(listed name)" >manifest.json
tar --create --file "$1" ./*.tar ./*.json

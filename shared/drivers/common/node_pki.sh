# shellcheck shell=sh disable=SC2154
# Sourced by the node agent: what it takes of an answer with certificates, and which authorities it trusts. It is all or
# nothing: a whole set of files is made and checked in $WORK/set, then one link is moved.

# whole FILE: certificates and nothing but whole ones. The two commands look at the first, and at those after it.
whole() {
    for look in "x509 -noout -in" "crl2pkcs7 -nocrl -out /dev/null -certfile"; do
        # shellcheck disable=SC2086 # words of a command
        openssl $look "$1" 2>/dev/null || die "${1##*/} is no certificate"
    done
}

# unpack FILE FILTER FOLDER SUFFIX: each entry of a JSON object becomes a file.
unpack() {
    jq -r "($2) // {} | keys[]" "$1" >"$WORK/names"
    while read -r name; do
        case $name in '' | .* | *[!A-Za-z0-9._-]*) die "the answer has an entry of an odd name" ;; esac
        jq -r --arg name "$name" "($2) | .[\$name] | rtrimstr(\"\\n\")" "$1" >"$3/$name$4"
        [ "$4" != .crt ] || whole "$3/$name.crt"
    done <"$WORK/names"
}

# verify AUTHORITIES FILE. Only the words tell, since OpenSSL up to 1.0.2 also ends well for what is expired or signed
# by itself. Without the two variables it would trust the machine's own authorities, too. Authorities of one kind have
# the same name; OpenSSL tries each whose key identifier fits.
verify() {
    words=$(SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null openssl verify -CAfile "$1" -untrusted "$2" "$2" 2>&1) || :
    [ "$words" = "$2: OK" ] || die "${2##*/} is not from this bay's authority: $(echo "$words" | tr '\n' ' ')"
}

# check FILE AUTHORITIES: a certificate for our key, from an authority of its kind.
check() {
    openssl x509 -in "$1" -noout -pubkey >"$WORK/its" 2>/dev/null || die "${1##*/} is no certificate"
    cmp -s "$WORK/its" "$WORK/ours" || die "${1##*/} is for another key"
    verify "$2" "$1"
}

# check_set: every certificate of $WORK/set against its key and its authorities there.
check_set() {
    openssl pkey -in "$WORK/set/node.key" -pubout >"$WORK/ours"
    check "$WORK/set/node.crt" "$WORK/set/ca.crt"
    for file in "$WORK/set/certificates"/*.crt; do
        case ${file##*/} in etcd.crt | *-etcd-*) by=etcd ;; front-proxy-*) by=front_proxy ;; *) by=kubernetes ;; esac
        [ ! -e "$file" ] || check "$file" "$WORK/set/authorities/$by.crt"
    done
}

# known AUTHORITIES: those that the answer has for the cluster itself, as far as the file holds them as well. A node may
# have been born to trust one that the bay has dropped since, and the answer alone is no reason to trust another.
known() {
    jq -r --arg ours "$(cat "$1")" '
        def pems: split("-----BEGIN CERTIFICATE-----")[1:] | map(split("-----END CERTIFICATE-----")[0]);
        def bare: split("\r") | join("") | split("\n") | join("") | split(" ") | join("");
        ($ours | pems | map(bare)) as $known | .authorities.kubernetes | strings | pems[] | . as $pem | bare as $bare |
        select([$known[] | select(. == $bare)] | length > 0) |
        "-----BEGIN CERTIFICATE-----\($pem)-----END CERTIFICATE-----"' "$WORK/answer"
}

# open_sealed FOLDER: what is encrypted to the key in it, from $WORK/sealed to $WORK/opened.
open_sealed() {
    openssl cms -decrypt -inform PEM -recip "$1/node.crt" -inkey "$1/node.key" <"$WORK/sealed" >"$WORK/opened"
}

# accept_answer: all of the answer or nothing. Its authorities count only for the first certificate; from then on they
# are those of the node's wishes, and a renewal comes from one of them.
accept_answer() {
    set=$WORK/set
    mkdir "$set" "$set/certificates" "$set/authorities" "$set/shared"
    cp "$STATE/pending/node.key" "$set/"
    jq -r '.pem | values' "$WORK/answer" >"$set/node.crt"
    unpack "$WORK/answer" .certificates "$set/certificates" .crt
    if [ -d "$PKI/authorities" ]; then
        cp "$PKI/authorities"/* "$set/authorities"
    else
        unpack "$WORK/answer" .authorities "$set/authorities" .crt
        known "$CONF/ca.pem" >"$set/authorities/kubernetes.crt"
        [ -s "$set/authorities/kubernetes.crt" ] || die "the answer names no authority that this node was born to trust"
    fi
    ln -s authorities/kubernetes.crt "$set/ca.crt"
    check_set
    [ ! -d "$PKI/shared" ] || cp -R "$PKI/shared/." "$set/shared"
    if jq -e -r '.shared | values' "$WORK/answer" >"$WORK/sealed"; then
        open_sealed "$set" || die "what the masters share cannot be opened with this node's key"
        unpack "$WORK/opened" . "$set/shared" ''
    fi
    swap_in
    rm -rf "$STATE/pending"
}

# The authorities that the bay trusts now; during a rotation those are old ones and new ones. A node whose certificate
# would be from none of them keeps what it has, unless it is to get another one at once.
take_authorities() {
    rm -rf "$WORK/set" && cp -R "$PKI/current/." "$WORK/set"
    unpack "$WORK/wanted" '((.ca_pem | values | {kubernetes: .}) // {}) + (.authorities // {})' \
        "$WORK/set/authorities" .crt
    if diff -r "$PKI/current/" "$WORK/set" >/dev/null; then
        rm -rf "$WORK/set"
    else
        [ "$renew" = true ] || check_set
        swap_in
    fi
}

# All files of $WORK/set at once, by moving one link.
swap_in() {
    new=set.$(date +%s%N)
    mv "$WORK/set" "$PKI/$new"
    sync
    ln -sfn "$new" "$PKI/next"
    mv -fT "$PKI/next" "$PKI/current"
    for old in "$PKI"/set.*; do [ "${old##*/}" = "$new" ] || rm -rf "$old"; done
}

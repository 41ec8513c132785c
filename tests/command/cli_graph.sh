#!/bin/sh
# cli_graph.sh - dagpt graph as a user runs it: every dump must render, and show the graph's nodes and edges and no
# others. What stands in the JSON is compared with the graph itself by tests/unit/dump/check_dump.c.
. tests/command/command.sh

python=
if command -v python3 >/dev/null && command -v dot >/dev/null; then
    python=python3
else
    echo "cli_graph: without python3 and dot (Debian: graphviz) no picture is compared"
fi

# render SECONDS ARGUMENT... - makes the dump in three formats; they are compared at the end, all at once.
pictures=0
render() {
    seconds=$1
    shift
    [ -z "$SAN" ] || seconds=600
    pictures=$((pictures + 1))
    for format in json mermaid dot; do
        run graph --format $format "$@"
        mv "$dir/out" "$dir/$pictures.$format"
        count "dagpt graph --format $format $*: status $status" \
            eval '[ "$status" -eq 0 ] && ! grep -qv "^dagpt: beyond what pages show" "$dir/err"'
    done
    echo "$dir/$pictures $seconds" >>"$dir/pictures"
    echo "$*" | tr '[:cntrl:]' '?' >"$dir/$pictures.name"
}

# sparse_model V L NH C MAXT - an llm.c checkpoint of those sizes that is one hole.
sparse_model() {
    le32 20240326 3 "$5" "$1" "$2" "$3" "$4" "$1" >"$dir/sparse.bin"
    set_size "$dir/sparse.bin" $((1024 + 4 * ($1 * $4 + $5 * $4 + $2 * (12 * $4 * $4 + 13 * $4) + 2 * $4)))
}

# ---- several models, folded, unfolded, as tiles ----

for name in tiny odd bf16; do
    bin=$golden/$name.bin
    render 5 -m "$bin"
    render 5 -m "$bin" --rows 8 --past 3
    render 5 -m "$bin" --all
    render 5 -m "$bin" --no-fuse --rows 3
    render 5 -m "$bin" --layers 0:1
    render 10 -m "$bin" --tiles -j 3 --cpus 3
    render 10 -m "$bin" --tiles --rows 8 --tile 2x16 --layers 1:2 --show shape,cost,deps,worker
done
render 5 -m "$tiny" -j 1

sparse_model 50257 12 12 768 1024
big=$dir/sparse.bin
render 5 -m "$big" --rows 64
render 5 -m "$big" --all
render 5 -m "$big" --all --no-fuse --rows 1024
render 5 -m "$big" --layers 3:5
render 10 -m "$big" --tiles --rows 64 --cpus 4
render 10 -m "$big" --tiles --layers 10:12 --rows 1
render 5 -m "$big" --load
render 10 -m "$big" --load --tiles --rows 20

# ---- what the pictures say ----

run graph -m "$big" --rows 64
count 'folded: "block × 11"' has 'block × 11' "$dir/out"
count 'folded: the loop' has '"h0:11.fcproj" -> "h0:11.ln1" [id="h0:11.fcproj/h0:11.ln1/loop"' "$dir/out"
count 'the last block goes on with its last row' has '"h11.ln1.tail" -> "h11.q"' "$dir/out"
run graph -m "$big" --rows 64 --no-fuse
count '--no-fuse shows the gelu' has '"h0:11.gelu"' "$dir/out"
run graph -m "$big" --tiles --rows 64 --cpus 4 --tile 16x64
count 'tiles: the first two layers' has 'layers 0:2 of 12 are drawn' "$dir/out"
count 'tiles: head 3 waits for its q' has '"h0.q[16:32,192:256]" -> "h0.attention[16:32,192:256]"' "$dir/out"
count 'tiles: head 3 waits for earlier keys' has '"h0.k[0:16,192:256]" -> "h0.attention[16:32,192:256]"' "$dir/out"
grep -e '-> "h0.attention\[16:32,192:256\]"' "$dir/out" >"$dir/edges"
count 'tiles: head 3 waits for no other head' [ "$(grep -c ',192:256\]" -> ' "$dir/edges")" -eq 5 ]
count 'tiles: head 3 waits for five tiles' [ "$(wc -l <"$dir/edges")" -eq 5 ]
count 'tiles: block 0 goes on without block 3' lacks '[48:64,0:768]" -> "h1.ln1[0:16' "$dir/out"

grep '^ *"h1.ln1\[[^<]*\[id=' "$dir/out" | grep -o ' color="#[0-9a-f]*"' | sort -u >"$dir/colours"
count 'tiles: each of four row blocks has its colour' [ "$(wc -l <"$dir/colours")" -eq 4 ]
run graph -m "$big" --tiles --rows 40
count 'tiles: layernorms of one row block are cut finer' has '"h1.ln1[32:40,0:768]"' "$dir/out"
count 'tiles: one row block has no colour' lacks '#3f78b5' "$dir/out"

# count_nodes - how many nodes the DOT on $dir/out has.
count_nodes() {
    grep -c '^ *"[^"]*" \[id=' "$dir/out"
}

run graph -m "$big" --all
count 'unfolded: 111 ops and the ids' [ "$(count_nodes)" -eq 112 ]
run graph -m "$big" --all --no-fuse
count 'unfolded before fusion: 147 ops and the ids' [ "$(count_nodes)" -eq 148 ]

# the same dump twice; and the same ids when the step has other rows
run graph -m "$big" --tiles
cp "$dir/out" "$dir/first"
run graph -m "$big" --tiles
count 'two dumps of one plan differ' cmp -s "$dir/out" "$dir/first"
for rows in 3 7; do
    run graph -m "$big" --all --rows $rows
    sed -n 's/^ *"\([^"]*\)" \[id=.*/\1/p' "$dir/out" >"$dir/ids$rows"
done
count 'other rows give other ids' cmp -s "$dir/ids3" "$dir/ids7"

for show in shape cost deps worker none; do
    run graph -m "$big" --tiles --rows 80 --show $show
    cp "$dir/out" "$dir/show.$show"
    count "--show $show" succeeded
    [ $show = none ] || count "--show $show is --show none" \
        [ "$(size_of "$dir/show.$show")" -gt "$("$program" graph -m "$big" --tiles --rows 80 --show none | wc -c)" ]
done
count '--show worker' has '>home 0</font>' "$dir/show.worker"
count '--show deps' has '>waits for 1, leads to ' "$dir/show.deps"
count '--show none has no cost' lacks 'FLOP</font>' "$dir/show.none"
count '--show cost' has 'FLOP</font>' "$dir/show.cost"

# ---- times of a run ----

for name in tiny odd; do
    prompt='1 2 3 4 5'
    "$program" tokens -m "$golden/$name.bin" -j 2 --cpus 2 --total 8 --trace "$dir/trace.json" $prompt \
        >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    count "$name: a traced run" [ "$status" -eq 0 ]
    render 5 --trace "$dir/trace.json"
    render 5 --trace "$dir/trace.json" --all --color slack
    render 5 --trace "$dir/trace.json" --rows 5 --layers 0:1
    render 10 --trace "$dir/trace.json" --tiles --all
    render 5 --trace "$dir/trace.json" --step 2
    run graph --trace "$dir/trace.json" --rows 5
    count "$name: the step of five rows" has 'a step of 5 rows after 0' "$dir/out"
    run graph --trace "$dir/trace.json" --step 2
    count "$name: the second decoded token" has 'a step of 1 row after 6' "$dir/out"
    count "$name: a critical path" has 'penwidth=2.5' "$dir/out"
done
run tokens -m "$tiny" -j 2 --cpus 2 --total 8 --tile 2x16 --trace "$dir/tiled.json" 1 2 3 4 5
render 5 --trace "$dir/tiled.json" --tile 2x16 --tiles --rows 5
expect_error 2 "the trace's plan" graph --trace "$dir/tiled.json" --rows 5
expect_error 2 'no step of that many rows' graph --trace "$dir/trace.json" --rows 64
expect_error 2 'expected a step that evaluates tokens' graph --trace "$dir/trace.json" --step 999
expect_error 2 'expected no --model' graph --trace "$dir/trace.json" -m "$tiny"
expect_error 3 'cannot open' graph --trace "$dir/nothing.json"
echo '{"dagpt": {"version": 1}}' >"$dir/bad.json"
expect_error 3 bad.json graph --trace "$dir/bad.json"

# ---- names from outside ----

hostile=$(printf '%s/a"b\\c<d>&e;\n\001\377\303(\355\240\200{|}#`.bin' "$dir")
if cp "$tiny" "$hostile" 2>/dev/null; then
    render 5 -m "$hostile"
    render 10 -m "$hostile" --tiles
    run tokens -m "$hostile" -j 2 --cpus 2 --trace "$dir/hostile.json" 1 2 3
    render 5 --trace "$dir/hostile.json"
fi

# ---- checking, writing, refusing ----

run graph -m "$big" --rows 64 --cpus 4 --check
count '--check says what it proved' succeeded
tiles=$(sed -n 's/^\([0-9]*\) tiles: .*/\1/p' "$dir/out")
edges=$(sed -n 's/^\([0-9]*\) edges, [0-9]* joins: acyclic.*/\1/p' "$dir/out")
count '--check: pairs' grep -q '^[1-9][0-9]* pairs ' "$dir/out"
run info -m "$big" --rows 64 --cpus 4 --json
count "--check: $tiles tiles, $edges edges, as info has them" \
    grep -q "\"rows\": 64, .*\"tiles\": $tiles, .*\"edges\": $edges," "$dir/out"

run graph -m "$tiny"
cp "$dir/out" "$dir/first"
run graph -m "$tiny" -o "$dir/written"
count '-o: nothing on standard output' [ ! -s "$dir/out" ]
count '-o: the same text' cmp -s "$dir/first" "$dir/written"
expect_error 5 'cannot write' graph -m "$tiny" -o "$dir/no/such/folder"
if [ -e /dev/full ]; then
    expect_error 5 '/dev/full: cannot write' graph -m "$tiny" -o /dev/full
fi

# ---- the plan cut over ranks ----

# messages RANKS HOW - the last run's JSON: each message leads from one rank's send to another's receive, of the same box,
# and every receive has one.
messages() {
    python '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["ranks"] == {"number": int(sys.argv[2]), "place": sys.argv[3]}
nodes = {n["id"]: n for n in d["nodes"]}
parent = {c["id"]: c["parent"] for c in d["clusters"]}
rank = {c["id"]: c["rank"] for c in d["clusters"] if "rank" in c}
def rank_of(node):
    c = node["cluster"]
    while c not in rank:
        c = parent[c]
    return rank[c]
received = set()
for e in d["edges"]:
    a, b = nodes[e["from"]], nodes[e["to"]]
    if e["kind"] != "message":
        assert b.get("type") != "receive" or b["kind"] == "cut"
        continue
    assert a["type"] == "send" and b["type"] == "receive" and rank_of(a) != rank_of(b)
    assert e["box"] == b["box"] == a["reads"][0]["box"] and b["id"] not in received
    received.add(b["id"])
assert received == {n["id"] for n in d["nodes"] if n["kind"] == "tile" and n["type"] == "receive"}
assert len(rank) == int(sys.argv[2]) and received' "$dir/out" "$1" "$2"
}

for how in layers columns both; do
    for n in 2 3; do
        run graph --ranks $n --place $how --rows 20 --all --format json
        count "--ranks $n --place $how: JSON" messages $n $how
    done
    for n in 1 2 3 4 7; do
        run graph --ranks $n --place $how --rows 20 --check
        count "--ranks $n --place $how: proved" grep -q 'each is sent once and received once' "$dir/out"
    done
done
run graph -m "$tiny" --ranks 2 --place columns
count '--ranks: a cluster for each' [ "$(grep -c 'label="rank [01]"' "$dir/out")" -eq 2 ]
! command -v dot >/dev/null || count '--ranks: Graphviz takes it' dot -Tsvg -o "$dir/ranks.svg" "$dir/out"
expect_error 2 '--place: expected --ranks with it' graph -m "$tiny" --place layers
expect_error 2 'expected layers or columns or both' graph -m "$tiny" --ranks 2 --place rows
expect_error 2 '--ranks' graph -m "$tiny" --ranks 257
expect_error 2 '--ranks: a trace is of one process' graph --ranks 2 --trace "$dir/none.json"

for range in 1 a:b 2:1 1:1 0:999 -1:1 0:1x : ' 0:1'; do
    expect_error 2 "--layers: got '$range', expected A:B" graph -m "$tiny" "--layers=$range"
done
for list in '' x shape, ,shape shapes shape,none; do
    expect_error 2 '--show: got' graph -m "$tiny" "--show=$list"
done
expect_error 2 'expected dot or json or mermaid' graph -m "$tiny" --format png
expect_error 2 'expected at most maxT' graph -m "$tiny" --rows 100000
expect_error 2 'expected at most maxT' graph -m "$tiny" --past 100000
expect_error 2 'graph takes no argument' graph -m "$tiny" 1
expect_error 2 'expected --trace with them' graph -m "$tiny" --step 1
expect_error 2 'expected --trace with them' graph -m "$tiny" --color slack
expect_error 3 'cannot open' graph -m /nonexistent/model

[ -z "$python" ] || count 'pictures that are not their graphs' $python tests/command/graph_svg.py "$dir/pictures"

# ---- Mermaid beyond what pages show: 500 edges, 50,000 characters ----

# mermaid_says - the last run's dump in $dir/out: its edges and characters are within the limits, and nobody
# says otherwise; or they are not, and a comment and a line say so, with both numbers.
mermaid_says() {
    python '
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
said = open(sys.argv[2], encoding="utf-8").read()
first, rest = text.split("\n", 1)
comment = first.startswith("%% beyond what pages show")
graph = rest if comment else text
edges = len(re.findall(r"^ +n_\w+ (?:-->|==>|-\.->)", graph, re.M))
length = len(graph.encode("utf-16-le")) // 2
assert comment == (edges > 500 or length > 50000), (edges, length, first)
assert said == ("dagpt: " + first[3:] + "\n" if comment else "")
assert not comment or f"got {edges} edges and {length} characters" in first, (edges, length, first)
assert comment == (sys.argv[3] == "beyond"), (edges, length)' "$dir/out" "$dir/err" "$1"
}

run graph --format mermaid --all
count 'mermaid: a graph' mermaid_says within
run graph -m "$golden/odd.bin" --format mermaid --tiles --rows 8 --tile 2x16 --layers 1:2 --show shape,cost,deps,worker
count 'mermaid: more characters' mermaid_says beyond
sparse_model 50257 12 12 768 1024
run graph -m "$dir/sparse.bin" --format mermaid --tiles --layers 10:12 --show none
count 'mermaid: more edges' mermaid_says beyond
run graph -m "$dir/sparse.bin" --format mermaid --tiles --layers 10:12 --show none -o "$dir/plan.mmd"
mv "$dir/plan.mmd" "$dir/out"
count 'mermaid -o: more edges' mermaid_says beyond
for format in dot json; do
    run graph -m "$dir/sparse.bin" --format $format --tiles --layers 10:12 --show none
    count "$format: says nothing of what pages show" succeeded
done

finish

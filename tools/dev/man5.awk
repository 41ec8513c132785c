# man5.awk - the manual page dagpt-formats.5 from docs/formats/*.md: headings, paragraphs, lists, tables (the
# first cell of a row is a tag) and code.
function text(line) {
    gsub(/\\/, "\\e", line)
    gsub(/-/, "\\-", line)
    while (match(line, /\[[^]]*\]\([^)]*\)/)) {
        inner = substr(line, RSTART + 1, RLENGTH - 2)
        sub(/\]\(.*/, "", inner)
        line = substr(line, 1, RSTART - 1) inner substr(line, RSTART + RLENGTH)
    }
    while (match(line, /\*\*[^*]*\*\*/))
        line = substr(line, 1, RSTART - 1) "\\fB" substr(line, RSTART + 2, RLENGTH - 4) "\\fR" substr(line, RSTART + RLENGTH)
    while (match(line, /`[^`]*`/))
        line = substr(line, 1, RSTART - 1) "\\fB" substr(line, RSTART + 1, RLENGTH - 2) "\\fR" substr(line, RSTART + RLENGTH)
    return (line ~ /^[.']/ ? "\\\\&" : "") line
}
BEGIN {
    print ".\\\" Made from docs/formats by tools/dev/man5.awk."
    print ".TH DAGPT\\-FORMATS 5 \"\" \"dagpt " version "\" \"File Formats\""
    print ".SH NAME\ndagpt\\-formats \\- files that dagpt reads and writes"
}
/^ *```/ { print fence ? ".fi" : ".PP\n.nf"; fence = !fence; next }
fence { gsub(/\\/, "\\e"); gsub(/-/, "\\-"); print (/^[.']/ ? "\\&" : "") $0; next }
/^# / { print ".SH " toupper(text(substr($0, 3))); table = 0; next }
/^##+ / { sub(/^#+ /, ""); print ".SS " text($0); table = 0; next }
/^\|[-| :]*$/ { table = 1; next }
/^\|/ {
    if (!table) # the names of the columns
        next
    gsub(/\\\|/, "\001")
    n = split($0, cell, / *\| */)
    for (i = 1; i <= n; i++)
        gsub("\001", "|", cell[i])
    print ".TP\n" (cell[2] == "" ? "\\&" : text(cell[2]))
    line = ""
    for (i = 3; i < n; i++)
        if (cell[i] != "")
            line = line (line == "" ? "" : "; ") cell[i]
    print line == "" ? "\\&" : text(line)
    next
}
/^ *- / { sub(/^ *- /, ""); print ".IP \\(bu 2\n" text($0); table = 0; next }
/^$/ { if (table || !blank) after = 1; table = 0; next }
{
    if (after && !/^ /)
        print ".PP"
    after = 0
    sub(/^ +/, "")
    print text($0)
}
END { print ".SH SEE ALSO\n.BR dagpt (1),\n.BR dagpt (3)" }

# man3.awk - the manual page dagpt.3 from src/dagpt.h: its comments are the text, and its declarations stand in
# front of what is said of them. `version` is set on the command line.
function text(line) {
    gsub(/\\/, "\\e", line)
    gsub(/-/, "\\-", line)
    return (line ~ /^[.']/ ? "\\\\&" : "") line
}
function flush_comment(   i) {
    if (n_comment == 0)
        return
    print ".PP"
    for (i = 1; i <= n_comment; i++)
        print comment[i]
    n_comment = 0
}
function code(line) {
    if (!in_code)
        print ".PP\n.nf"
    in_code = 1
    print text(line)
}
function end_code() {
    if (in_code)
        print ".fi"
    in_code = 0
}
BEGIN {
    print ".\\\" Made from src/dagpt.h by tools/dev/man3.awk."
    print ".TH DAGPT 3 \"\" \"dagpt " version "\" \"Library Functions\""
    print ".SH NAME\ndagpt \\- GPT\\-2 inference on an op graph, as a library"
    print ".SH SYNOPSIS\n.nf\n.B #include <dagpt.h>\n.PP\n.B cc ... $(pkg\\-config \\-\\-cflags \\-\\-libs dagpt)\n.fi"
    print ".SH DESCRIPTION"
}
# The head of the file: prose, and the example, which is indented.
NR == 1 { head = 1; next }
head && /^ \*\// { head = 0; end_code(); next }
head {
    sub(/^ \*( |$)/, "")
    example = example && !/^Options:/ || /^example\.c:/
    if (example && /^    /) { sub(/^    /, ""); code($0); next }
    if (in_code && $0 == "") { print ""; next }
    end_code()
    if ($0 == "" || /^[A-Z][a-z]+: /) print ".PP"
    if ($0 != "") { sub(/^ +/, ""); print text($0) }
    next
}
/^#ifdef __cplusplus/ { skip = 3 }
skip > 0 { skip--; next }
/^#(ifndef|endif|include)/ || /^#define DAGPT_H/ { next }
/^\/\* ---- .* ---- \*\/$/ {
    end_code(); flush_comment()
    sub(/^\/\* ---- /, ""); sub(/ ---- \*\/$/, "")
    print ".SH " toupper($0)
    next
}
# A comment that stands alone is prose; it comes in front of the declaration below it.
/^\/\*/ { end_code(); flush_comment(); in_comment = 1; sub(/^\/\* ?/, "") }
in_comment {
    done = /\*\/$/
    sub(/ *\*\/$/, ""); sub(/^ \* ?/, "")
    comment[++n_comment] = text($0)
    if (done)
        in_comment = 0
    next
}
/^$/ { end_code(); flush_comment(); next }
{
    flush_comment()
    sub(/^DG_API /, "")
    code($0)
}
END {
    end_code()
    print ".SH SEE ALSO\n.BR dagpt (1),\n.BR dagpt\\-formats (5)"
}

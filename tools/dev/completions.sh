#!/bin/sh
# completions.sh DAGPT bash|zsh|fish - a shell's completion of the command, from what DAGPT --help and
# DAGPT COMMAND --help print, which is the option tables themselves.
dagpt=$1 shell=$2
commands=$("$dagpt" --help | sed -n 's/^  \([a-z-]*\) \{2,\}\(.*\)/\1:\2/p')

# Of each command: "command NAME ABOUT", then "option LETTER NAME VALUE HELP" with - for what there is not.
for command in $(echo "$commands" | sed 's/:.*//; s/ /_/g'); do
    printf 'command\t%s\t%s\n' "$command" "$(echo "$commands" | sed -n "s/^$command://p")"
    "$dagpt" "$command" --help | awk -v OFS='\t' '
        /^  (-.,|   ) --[a-z]/ {
            letter = substr($0, 4, 1)
            text = substr($0, 9)
            name = text; sub(/ .*/, "", name)
            value = ""; help = substr(text, length(name) + 1)
            if (match(help, /^ [A-Z][A-Za-z:]*/)) {
                value = substr(help, 2, RLENGTH - 1)
                help = substr(help, RLENGTH + 1)
            }
            sub(/^ +/, "", help)
            print "option", letter == " " ? "-" : letter, name, value == "" ? "-" : value, help
        }'
done | awk -F '\t' -v shell="$shell" '
    function quoted(text) { gsub(/\047/, "\047\\\047\047", text); return "\047" text "\047" }
    function takes_file(value) { return value ~ /^(FILE|MODEL|OUT|FOLDER)$/ }
    BEGIN {
        print (shell == "zsh" ? "#compdef dagpt\n" : "") "# " shell " completion of dagpt; made by completions.sh"
        if (shell == "bash")
            print "_dagpt()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options files"
    }
    $1 == "command" {
        names = names " " $2
        if (shell == "bash")
            cases = cases (n++ ? "\"\n        files=\"" files " \"\n        ;;\n" : "") "    " $2 ")\n        options=\""
        else if (shell == "zsh") {
            about = $3; gsub(/:/, "\\:", about)
            described = described " " quoted($2 ":" about)
            cases = cases (n++ ? " \\\n            \047*:file:_files\047\n        ;;\n" : "") "    " $2 ")\n        _arguments -s"
        } else
            print "complete -c dagpt -n __fish_use_subcommand -f -a " $2 " -d " quoted($3)
        files = ""
        command = $2
    }
    $1 == "option" && shell == "bash" {
        cases = cases " --" $3 ($2 == "-" ? "" : " -" $2)
        if (takes_file($4))
            files = files " --" $3 ($2 == "-" ? "" : " -" $2)
    }
    $1 == "option" && shell == "zsh" {
        help = $5; gsub(/\\/, "\\\\", help); gsub(/\[/, "\\[", help); gsub(/\]/, "\\]", help)
        value = $4; gsub(/:/, "\\:", value)
        tail = "[" help "]" ($4 == "-" ? "" : ":" value ":" (takes_file($4) ? "_files" : ""))
        cases = cases " \\\n            " quoted("--" $3 ($4 == "-" ? "" : "=") tail)
        if ($2 != "-")
            cases = cases " \\\n            " quoted("-" $2 ($4 == "-" ? "" : "+") tail)
    }
    $1 == "option" && shell == "fish" {
        print "complete -c dagpt -n \047__fish_seen_subcommand_from " command "\047" \
            ($2 == "-" ? "" : " -s " $2) " -l " $3 \
            ($4 == "-" ? "" : takes_file($4) ? " -r -F" : " -x") " -d " quoted($5)
    }
    END {
        if (shell == "bash") {
            print "    if [ \"$COMP_CWORD\" -eq 1 ]; then"
            print "        mapfile -t COMPREPLY < <(compgen -W \"" substr(names, 2) "\" -- \"$cur\")"
            print "        return\n    fi"
            print "    case ${COMP_WORDS[1]} in\n" cases "\"\n        files=\"" files " \"\n        ;;\n    esac"
            print "    if [[ $files != *\" $prev \"* && $cur == -* ]]; then"
            print "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")"
            print "    else\n        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n    fi\n}"
            print "complete -o filenames -F _dagpt dagpt"
        } else if (shell == "zsh") {
            print "_dagpt() {\n    local -a commands=(" described " )"
            print "    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n    fi"
            print "    shift words\n    (( CURRENT-- ))\n    case $words[1] in\n" cases " \\\n            \047*:file:_files\047\n        ;;\n    esac\n}"
            print "_dagpt \"$@\""
        }
    }'

# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# shellcheck shell=bash
# bash completion of upcall(1). Commands and options are those that upcall itself says it has.

_upcall_options()	# COMMAND
{
	upcall "$1" --help 2>/dev/null | sed -n 's/^ *\(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

_upcall_commands()
{
	upcall --help 2>/dev/null | sed -n '/^usage/,/^"/s/^  \([a-z]*\) .*/\1/p'
}

_upcall_names()
{
	upcall ls --names 2>/dev/null | awk 'NR > 1 && $3 == "live" { print $1 }'
}

# What can stand for the value of OPTION of COMMAND; fails if it is none that is known
_upcall_values()	# COMMAND OPTION
{
	case $1/$2 in
	*/--access | serve/-a)	echo same-user anyone stub-only uid: gid: ;;
	*/--owner)		compgen -u ;;
	top/--sort | top/-s)	echo rate queued running wait run refused calls bytes callbacks ;;
	trace/--handle | trace/-H)	_upcall_names ;;
	*)			return 1 ;;
	esac
}

_upcall()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
	local words

	if [ "$COMP_CWORD" = 1 ]; then
		words="$(_upcall_commands) --help --version"
	elif words=$(_upcall_values "$command" "$before"); then
		:
	elif [[ $word == -* ]]; then
		words=$(_upcall_options "$command")
	else
		case $command in
		call | notify | stat | why | revoke | stub)	words=$(_upcall_names) ;;
		trace)	words="registered released refused queued delivered replied ended" ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _upcall upcall

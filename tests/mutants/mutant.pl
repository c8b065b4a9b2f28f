#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
# mutant.pl FILE KEY: what a mutant says after 'KEY:', on one line.
# mutant.pl FILE --apply DIR: breaks the sources in DIR as it says; or says why it cannot.
# mutant.pl FILE --check DIR: only looks whether it could.
#
# A mutant is a file of
#
#	breaks:	the promise, or the rule of the code, that does not hold with it
#	tests:	who has to notice: PROGRAM, or PROGRAM/TEST, of tests/selftests
#	kernel:	plain, or kasan, where that alone can see it
#	fatal:	if there is such a line, nothing else can be tried in that machine afterwards
#	--- old
#	a piece of the code
#	--- new
#	what stands there instead
#	--- end
#
# with as many pieces as it takes. Each must be found once in all of the sources, whatever file it
# is in and wherever its lines are broken: else the code has changed, and the mutant has to follow.
use strict;
use warnings;

my ($file, $what, $dir) = @ARGV;
my (%say, @pieces, $key);
my $state = '';

die "usage: mutant.pl FILE KEY | --apply DIR | --check DIR\n" unless defined $what;
open my $in, '<', $file or die "$file: $!\n";
while (<$in>) {
	next if /^#/ && !$state;
	if (/^--- (old|new|end)$/) {
		$state = $1;
		push @pieces, { old => '', new => '' } if $state eq 'old';
	} elsif ($state eq 'old' || $state eq 'new') {
		$pieces[-1]{$state} .= $_;
	} elsif (/^([a-z]+):\s*(.*)/) {
		$key = $1;
		$say{$key} = $2;
	} elsif (/^\s+(\S.*)/ && $key) {
		$say{$key} .= " $1";
	}
}
die "$file: does not end in '--- end'\n" unless $state eq 'end';

if ($what !~ /^--/) {
	print $say{$what} // '', "\n";
	exit;
}

my %text;
for my $path (glob("$dir/kmod/*.[ch]")) {
	next if $path =~ /\.mod\.c$/;
	open my $source, '<', $path or die "$path: $!\n";
	local $/;
	$text{$path} = <$source>;
}

my %changed;
for my $piece (@pieces) {
	my ($first) = $piece->{old} =~ /(\S.*)/;
	die "$file: a piece without text\n" unless defined $first;
	my $pattern = join '\s+', map { quotemeta } split ' ', $piece->{old};
	my @found;
	for my $path (sort keys %text) {
		push @found, ($path) x (() = $text{$path} =~ /$pattern/g);
	}
	die "is in no file of kmod/: $first\n" unless @found;
	die 'is ' . @found . " times in kmod/: $first\n" if @found > 1;
	my $new = $piece->{new};
	$new =~ s/\A\s+|\s+\z//g;
	$text{$found[0]} =~ s/$pattern/$new/;
	$changed{$found[0]} = 1;
}
exit if $what eq '--check';
for my $path (sort keys %changed) {
	open my $out, '>', $path or die "$path: $!\n";
	print $out $text{$path};
	close $out or die "$path: $!\n";
}

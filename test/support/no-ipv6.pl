# Runs a program as on a Linux with `ipv6.disable=1`: the kernel refuses every IPv6 socket with EAFNOSUPPORT.
#
#   perl no-ipv6.pl PROGRAM ARGS…
use strict;
my $machine = `uname -m` =~ s/\s//gr;
my ($prctl, $socket) = @{{ x86_64 => [157, 41], aarch64 => [167, 198] }->{$machine} or die "no numbers of system calls for $machine\n"};
my ($no_new_privileges, $seccomp, $filter, $inet6, $unsupported) = (38, 22, 2, 10, 97);

# BPF: the number of the call, then its first argument, the family
my @code = (
  [0x20, 0, 0, 0], [0x15, 0, 3, $socket],
  [0x20, 0, 0, 16], [0x15, 0, 1, $inet6],
  [0x06, 0, 0, 0x00050000 | $unsupported],
  [0x06, 0, 0, 0x7fff0000],
);
my $code = join '', map { pack 'SCCL', @$_ } @code;
my $program = pack 'S x6 P', scalar @code, $code;
syscall($prctl, $no_new_privileges, 1, 0, 0, 0) == 0 or die "no_new_privs: $!\n";
syscall($prctl, $seccomp, $filter, $program) == 0 or die "seccomp: $!\n";
exec @ARGV or die "$ARGV[0]: $!\n";

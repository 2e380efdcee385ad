# Counts connections, and remembers the count in a volume.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
$SIG{TERM} = sub { exit 0 };
my $file = '/data/count';
my $count = 0;
if (open my $in, '<', $file) { $count = <$in> // 0; chomp $count }
my $server = IO::Socket::INET->new(LocalPort => 7000, Listen => 16, ReuseAddr => 1) or die "cannot listen: $!";
print "counting from $count\n";
while (my $client = $server->accept) {
    # A probe connects from this container itself, and is no visit.
    next if $client->peerhost eq '127.0.0.1';
    $count++;
    open my $out, '>', $file or die "cannot write: $!";
    print $out "$count\n";
    close $out;
    print $client "$count\n";
    close $client;
}

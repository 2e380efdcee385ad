# Answers every visit with the number that the counter gives.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => 80, Listen => 16, ReuseAddr => 1) or die "cannot listen: $!";
print "listening on port 80\n";
while (my $client = $server->accept) {
    my $request = <$client> // '';
    while (defined(my $header = <$client>)) { last if $header =~ /^\r?\n$/ }
    my $counter = IO::Socket::INET->new(PeerAddr => 'counter', PeerPort => 7000);
    my $count = $counter ? <$counter> : "nobody counts\n";
    my $body = "Hello from a container. Visit number $count";
    printf $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", length $body, $body;
    close $client;
    print "visit ", $count;
}

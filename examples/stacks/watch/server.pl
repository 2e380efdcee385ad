# Serves what is in /app/pages.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
$SIG{TERM} = sub { exit 0 };
my $greeting = 'Served by the first version';
my $server = IO::Socket::INET->new(LocalPort => 80, Listen => 16, ReuseAddr => 1) or die "cannot listen: $!";
print "listening on port 80\n";
while (my $client = $server->accept) {
    my ($name) = (<$client> // '') =~ m{^GET /(\w*)};
    while (defined(my $header = <$client>)) { last if $header =~ /^\r?\n$/ }
    my $body = "$greeting\n";
    if (open my $page, '<', '/app/pages/' . ($name || 'index')) { local $/; $body .= <$page> }
    printf $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", length $body, $body;
    close $client;
}

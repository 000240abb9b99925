use Net::SMTP;
my ($host, $port, undef, undef, $user, $password, $to, $file) = @ARGV;
my $smtp = Net::SMTP->new($host, Port => $port) or die $@;
$smtp->auth($user, $password) && $smtp->mail($user) && $smtp->to($to) && $smtp->data or die $smtp->message;
open my $in, "<", $file or die;
$smtp->datasend($_) while <$in>;
$smtp->dataend or die $smtp->message;
$smtp->quit;

<?php
require "/usr/share/php/libphp-phpmailer/autoload.php";
[, $host, $port, $security, $auth, $user, $password, $to, $file, $cert, $attachment] = $argv;
$mail = new PHPMailer\PHPMailer\PHPMailer(true);
$mail->isSMTP();
$mail->Host = $host; $mail->Port = (int)$port;
$mail->SMTPAuth = true; $mail->AuthType = $auth; $mail->Username = $user; $mail->Password = $password;
if ($security != "") {
    $mail->SMTPSecure = ["clear" => "", "STARTTLS" => "tls", "TLS" => "ssl"][$security];
    $mail->SMTPAutoTLS = false;
}
if ($cert != "") {
    $mail->SMTPOptions = ["ssl" => ["cafile" => $cert]];
}
$mail->CharSet = "utf-8"; $mail->Encoding = "8bit";
$mail->setFrom($user, "Me"); $mail->addAddress($to);
$mail->Subject = "From PHP";
$mail->Body = file_get_contents($file);
if ($attachment != "") {
    $mail->addAttachment($attachment);
}
try { $mail->send(); echo $mail->getSMTPInstance()->getLastReply(); }
catch (PHPMailer\PHPMailer\Exception $e) { fwrite(STDERR, $e->getMessage() . "\n"); exit(1); }

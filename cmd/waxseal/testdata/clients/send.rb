require "net/smtp"
host, port, _, _, user, password, to, file = ARGV
Net::SMTP.start(host, port.to_i, user: user, password: password, authtype: :plain) do |smtp|
  smtp.send_message File.binread(file), user, to
end

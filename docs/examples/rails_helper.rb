# app/helpers/calotype_helper.rb: calotype_url("lake.jpg", w: 400, h: 300, c: "fill", f: "auto"), with the tokens of docs/urls.md.
require "base64"
require "erb"
require "openssl"

module CalotypeHelper
  BASE = ENV.fetch("CALOTYPE_BASE", "https://images.shop.example")
  WIDTHS = [320, 640, 960, 1280, 1920].freeze

  def calotype_url(key, secret: nil, **tokens)
    path = key.split("/").map { |part| ERB::Util.url_encode(part) }.join("/")
    target = "/#{tokens.map { |name, value| "#{name}_#{value}" }.join(",")}/#{path}"
    return BASE + target unless secret
    mac = OpenSSL::HMAC.digest("SHA256", secret, target)
    "#{BASE}#{target}?sig=#{Base64.urlsafe_encode64(mac, padding: false)}"
  end

  def calotype_srcset(key, **tokens)
    WIDTHS.map { |width| "#{calotype_url(key, w: width, **tokens)} #{width}w" }.join(", ")
  end
end

"""The secrets that the URLs of client_urls.json are signed with."""

THUMBOR_KEY = "the key of a thumbor that was"
CLOUDINARY_SECRET = "the API secret of a cloud"
IMGPROXY_KEY = "736563726574206b6579206f66206120736572766572"
IMGPROXY_SALT = "73616c74206f66206120736572766572"
CLOUDFLARE_KEY = "the key of Cloudflare Images"
IMGIX_TOKEN = "FOO123bar"
IMAGEKIT_KEY = "private_key_test"

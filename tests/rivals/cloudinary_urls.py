"""What Cloudinary's clients are asked for: options, the size of the picture that they describe for the originals of the
gallery, and its type. ROWS are in the words that the libraries of PyPI and npm share."""

from typing import Any

Row = tuple[dict[str, Any], tuple[int, int], str]

JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"
LAKE, DOOR, LOGO = "lake.jpg", "door.png", "logo.png"
"""1200x800, 333x501, and 400x300 with alpha."""

ROWS: list[Row] = [
    ({}, (1200, 800), JPEG),
    ({"width": 300, "crop": "scale"}, (300, 200), JPEG),
    ({"height": 0.5, "crop": "scale"}, (600, 400), JPEG),
    ({"width": 300, "height": 300, "crop": "scale"}, (300, 300), JPEG),
    ({"width": 300, "height": 300, "crop": "fit"}, (300, 200), JPEG),
    ({"width": 1500, "height": 1500, "crop": "fit"}, (1500, 1000), JPEG),
    ({"width": 1500, "height": 1500, "crop": "limit"}, (1200, 800), JPEG),
    ({"width": 1500, "height": 1500, "crop": "mfit"}, (1500, 1000), JPEG),
    ({"width": 300, "height": 300, "crop": "fill", "gravity": "north_west"}, (300, 300), JPEG),
    ({"width": 300, "height": 300, "crop": "fill", "gravity": "auto"}, (300, 300), JPEG),
    ({"width": 1500, "height": 400, "crop": "lfill"}, (1200, 400), JPEG),
    ({"width": 300, "height": 300, "crop": "pad", "background": "#ff8800"}, (300, 300), JPEG),
    ({"width": 1500, "height": 1500, "crop": "lpad", "background": "black"}, (1500, 1500), JPEG),
    ({"width": 1500, "height": 1500, "crop": "mpad"}, (1500, 1500), JPEG),
    ({"width": 300, "height": 250, "x": 10, "y": 20, "crop": "crop"}, (300, 250), JPEG),
    ({"width": 0.25, "aspect_ratio": "1:1", "crop": "crop", "gravity": "south_east"}, (300, 300), JPEG),
    ({"width": 120, "height": 120, "crop": "thumb", "gravity": "face", "zoom": 1.2}, (120, 120), JPEG),
    ({"aspect_ratio": "16:9", "width": 320, "crop": "fill"}, (320, 180), JPEG),
    ({"width": 100, "height": 100, "crop": "fill", "dpr": 2.0}, (200, 200), JPEG),
    ({"width": 300, "crop": "limit", "angle": 90}, (200, 300), JPEG),
    ({"width": 300, "crop": "limit", "angle": ["hflip", "270"]}, (200, 300), JPEG),
    ({"width": 300, "crop": "limit", "quality": "auto", "fetch_format": "auto"}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "quality": 70, "fetch_format": "webp"}, (300, 200), WEBP),
    ({"id": DOOR, "width": 111, "crop": "scale"}, (111, 167), PNG),
    ({"id": LOGO, "width": 200, "crop": "scale", "fetch_format": "auto"}, (200, 150), PNG),
    ({"width": 300, "crop": "limit", "effect": "sepia"}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "effect": ["blur", 200]}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "effect": "colorize:40", "color": "rgb:ff8800"}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "flags": ["progressive", "strip_profile"]}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "flags": "attachment:my_lake"}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "version": 1234567890}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "shorten": True}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "use_root_path": True}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "private_cdn": True}, (300, 200), JPEG),
    ({"width": 300, "crop": "limit", "type": "private"}, (300, 200), JPEG),
    (
        {
            "transformation": [
                {"width": 600, "height": 600, "crop": "crop", "gravity": "center"},
                {"width": 0.5, "crop": "scale"},
                {"effect": "grayscale"},
            ]
        },
        (300, 300),
        JPEG,
    ),
    (
        {
            "transformation": [
                {"variables": [["$side", 200], ["$half", "$side / 2"]]},
                {"width": "$side", "height": "$half", "crop": "fill"},
                {"if": "w > 150", "width": "w * 2", "crop": "scale"},
                {"if": "end"},
            ]
        },
        (400, 200),
        JPEG,
    ),
    ({"width": "iw / 4", "crop": "scale"}, (300, 200), JPEG),
]

URL_GEN: list[Row] = [
    ({"image": "resize(scale().width(300))"}, (300, 200), JPEG),
    ({"image": "resize(fill().width(300).height(300).gravity(compass('north')))"}, (300, 300), JPEG),
    ({"image": "resize(thumbnail().width(120).height(120).gravity(focusOn(face())))"}, (120, 120), JPEG),
    ({"image": "resize(limitFit().width(300)).delivery(dpr('2.0'))"}, (600, 400), JPEG),
    ({"image": "resize(limitFit().width(300)).delivery(quality('auto')).delivery(format('auto'))"}, (300, 200), JPEG),
    ({"image": "resize(pad().width(300).height(300).background(color('red')))"}, (300, 300), JPEG),
    ({"image": "resize(crop().width(300).height(250).x(10).y(20))"}, (300, 250), JPEG),
    ({"image": "rotate(byAngle(90)).resize(scale().width(200))"}, (200, 300), JPEG),
    ({"image": "effect(blur(300)).effect(sepia()).resize(scale().width(0.25))"}, (300, 200), JPEG),
]  # fmt: skip
"""Actions of @cloudinary/url-gen on an image."""

URL_LOADER: list[Row] = [
    ({"src": LAKE, "width": 300}, (300, 200), JPEG),
    ({"src": LAKE, "width": 300, "height": 300, "crop": "fill"}, (300, 300), JPEG),
    ({"src": LAKE, "width": 120, "height": 120, "crop": "thumb", "gravity": "face"}, (120, 120), JPEG),
    ({"src": LAKE, "width": 300, "height": 300, "crop": "pad", "background": "black"}, (300, 300), JPEG),
    ({"src": LAKE, "width": 300, "quality": 60, "format": "webp", "grayscale": True}, (300, 200), WEBP),
    (
        {"src": LAKE, "width": 300, "crop": {"type": "crop", "width": 600, "height": 600, "source": True}},
        (300, 300),
        JPEG,
    ),
]
"""The loader of next-cloudinary, nuxt-cloudinary and astro-cloudinary."""

UNPIC: list[Row] = [
    ({"width": 300}, (300, 200), JPEG),
    ({"width": 300, "height": 300}, (300, 300), JPEG),
    ({"width": 300, "quality": 60, "format": "webp"}, (300, 200), WEBP),
    ({"width": 300, "height": 300, "operations": {"cloudinary": {"c": "pad", "b": "black"}}}, (300, 300), JPEG),
]  # fmt: skip

NEXT_LOADER: list[Row] = [
    ({"src": f"/{LAKE}", "width": 640}, (640, 427), JPEG),
    ({"src": f"/{LAKE}", "width": 256, "quality": 60}, (256, 171), JPEG),
]
"""With the loader for Cloudinary that next documents."""

IN_NODE = """
const cloudinary = require('cloudinary').v2
const { CloudinaryImage } = require('@cloudinary/url-gen/assets/CloudinaryImage')
const actions = ['resize', 'delivery', 'effect', 'rotate'].map((name) => require(`@cloudinary/url-gen/actions/${name}`))
const qualifiers = ['background', 'gravity', 'focusOn'].map((name) => require(`@cloudinary/url-gen/qualifiers/${name}`))
const words = Object.assign({}, ...actions, ...qualifiers)
const { constructCloudinaryUrl } = require('@cloudinary-util/url-loader')
const targetOf = (url) => url.replace(/^https?:\\/\\/[^/]+/, '')
Object.assign(make, {
  cloudinary: ({ id, ...options }) => targetOf(cloudinary.url(id, { cloud_name: 'demo', secure: true, ...options })),
  cloudinaryUrlGen: ({ id, image }) =>
    targetOf(
      new Function('words', 'image', `with (words) { return image.${image} }`)(
        words,
        new CloudinaryImage(id, { cloudName: 'demo' }),
      ).toURL(),
    ),
  cloudinaryUrlLoader: (options) =>
    targetOf(constructCloudinaryUrl({ options, config: { cloud: { cloudName: 'demo' } } })),
  cloudinaryUnpic: ({ operations, ...options }) =>
    targetOf(transformUrl({ ...options, provider: 'cloudinary' }, operations)),
  cloudinaryNext: ({ src, width, quality }) =>
    `/demo/image/upload/f_auto,c_limit,w_${width},q_${quality || 'auto'}${src}`,
})
"""


def requests(secret: str) -> list[tuple[str, Row, bool, tuple[str, dict[str, Any]]]]:
    """For each client of npm and row: the client's name, the row, whether it signs, and what `cloudinaryClients` gets."""
    found: list[tuple[str, Row, bool, tuple[str, dict[str, Any]]]] = []
    for row in ROWS:
        for is_signed in (True, False):
            keys = {"sign_url": True, "api_secret": secret} if is_signed else {}
            found.append(("cloudinary (npm)", row, is_signed, ("cloudinary", {"id": LAKE, **row[0], **keys})))
    for row in URL_GEN:
        found.append(("@cloudinary/url-gen", row, False, ("cloudinaryUrlGen", {"id": LAKE, **row[0]})))
    found += [
        ("@cloudinary-util/url-loader", row, False, ("cloudinaryUrlLoader", row[0])) for row in URL_LOADER
    ]
    for row in UNPIC:
        for head in ("res.cloudinary.com/demo", "rival"):
            options = {"url": f"https://{head}/image/upload/{LAKE}", **row[0]}
            found.append(("unpic, cloudinary", row, False, ("cloudinaryUnpic", options)))
    found += [("next/image, cloudinary", row, False, ("cloudinaryNext", row[0])) for row in NEXT_LOADER]
    return found

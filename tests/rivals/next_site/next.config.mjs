// The loader is the only place that names a host of pictures, by NEXT_PUBLIC_IMAGES of the environment.
export default {
  images: { loader: "custom", loaderFile: "./loader.js", deviceSizes: [320, 640, 1280], imageSizes: [64, 120] },
};

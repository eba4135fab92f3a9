"use client";

export default function cloudinaryLoader({ src, width, quality }) {
  const parameters = `f_auto,c_limit,w_${width},q_${quality || "auto"}`;
  return `${process.env.NEXT_PUBLIC_IMAGES}/demo/image/upload/${parameters}${src}`;
}

"""URLs of next/image, Vercel, Netlify and ipx. `urls` has the record of the dialect."""

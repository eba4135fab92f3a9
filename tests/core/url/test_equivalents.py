"""The URLs that the writers of the dialects make, read by the parsers of the dialects."""

import pytest
from hypothesis import given

from proxy.core.transform.operations import Transform
from proxy.core.url.dialects.dialect import Reading
from proxy.core.url.dialects.native.urls import parse_transform
from proxy.core.url.dialects.registry import DIALECTS
from proxy.core.url.equivalents import equivalents
from proxy.core.url.parsed_url import VariantUrl
from tests.support.strategies import keys, transforms

KEY = "deep/a b.jpg"
WRITTEN = {
    "next": {
        "w_640,f_auto": "/_ipx/w_640,f_auto/KEY",
        "w_640,f_auto,q_80": "/_ipx/w_640,f_auto,q_80/KEY",
        "h_90,f_webp": "/_ipx/h_90,f_webp/KEY",
        "w_400,h_300,c_fill,f_webp": "/_ipx/s_400x300,fit_cover,enlarge,f_webp/KEY",
        "w_400,h_300,c_fit,el_allow,f_webp": "/_ipx/s_400x300,fit_inside,enlarge,f_webp/KEY",
        "w_400,h_300,c_scale,f_png": "/_ipx/s_400x300,fit_fill,enlarge,f_png/KEY",
        "w_200,h_200,c_fill,g_north_east,f_webp": "/_ipx/s_200x200,fit_cover,enlarge,position_right%20top,f_webp/KEY",
        "w_200,h_200,c_fill,g_west,f_webp": "/_ipx/s_200x200,fit_cover,enlarge,position_left,f_webp/KEY",
        "w_200,h_200,c_fill,g_auto,f_webp": "/_ipx/s_200x200,fit_cover,enlarge,position_attention,f_webp/KEY",
        "w_200,h_200,c_fill,g_entropy,f_webp": "/_ipx/s_200x200,fit_cover,enlarge,position_entropy,f_webp/KEY",
        "w_400,h_300,c_crop,x_10,y_20,f_webp": "/_ipx/extract_10_20_400_300,f_webp/KEY",
        "a_90,f_webp": "/_ipx/rotate_90,f_webp/KEY",
        "a_hflip,f_webp": "/_ipx/flop,f_webp/KEY",
        "a_vflip,f_webp": "/_ipx/flip,f_webp/KEY",
        "w_300,q_70,f_jpg": "/_ipx/w_300,f_jpg,q_70/KEY",
        "w_300,e_blur:5,f_webp": "/_ipx/w_300,blur_5,f_webp/KEY",
        "w_300,e_sharpen:1,f_webp": "/_ipx/w_300,sharpen_1,f_webp/KEY",
        "w_300,e_grayscale,f_webp": "/_ipx/w_300,grayscale,f_webp/KEY",
        "w_300,e_normalize,f_webp": "/_ipx/w_300,normalize,f_webp/KEY",
        "w_300,e_threshold:100,f_webp": "/_ipx/w_300,threshold_100,f_webp/KEY",
        "w_300,e_median:3,f_webp": "/_ipx/w_300,median_3,f_webp/KEY",
        "w_300,e_flatten:ff0000,f_webp": "/_ipx/w_300,flatten,b_ff0000,f_webp/KEY",
        "w_300,h_200,c_outside,f_webp": "/_ipx/s_300x200,fit_outside,enlarge,f_webp/KEY",
        "w_300,e_negate_alpha,f_webp": "/_ipx/w_300,negate,f_webp/KEY",
    },
    "cloudflare": {
        "w_640,f_auto": "/cdn-cgi/image/width=640,fit=scale-down,format=auto/KEY",
        "w_640,f_auto,q_80": "/cdn-cgi/image/width=640,fit=scale-down,format=auto,quality=80/KEY",
        "h_90,f_webp": "/cdn-cgi/image/height=90,fit=scale-down,format=webp/KEY",
        "w_400,h_300,c_fill,f_webp": "/cdn-cgi/image/width=400,height=300,fit=cover,format=webp/KEY",
        "w_400,h_300,c_fill,el_never,f_webp": "/cdn-cgi/image/width=400,height=300,fit=crop,format=webp/KEY",
        "w_400,h_300,c_fill,el_ratio,f_webp": "/cdn-cgi/image/width=400,height=300,fit=aspect-crop,format=webp/KEY",
        "w_400,h_300,c_fit,f_webp": "/cdn-cgi/image/width=400,height=300,fit=scale-down,format=webp/KEY",
        "w_400,h_300,c_fit,el_allow,f_webp": "/cdn-cgi/image/width=400,height=300,fit=contain,format=webp/KEY",
        "w_400,h_300,c_fit,el_only,f_webp": "/cdn-cgi/image/width=400,height=300,fit=scale-up,format=webp/KEY",
        "w_400,h_300,c_scale,f_png": "/cdn-cgi/image/width=400,height=300,fit=squeeze,format=png/KEY",
        "w_400,h_300,c_pad,b_ff0000,f_jpg": "/cdn-cgi/image/width=400,height=300,fit=pad,background=%23ff0000,format=jpeg/KEY",
        "w_200,h_200,c_fill,g_north_east,f_webp": "/cdn-cgi/image/width=200,height=200,fit=cover,gravity=1x0,format=webp/KEY",
        "w_200,h_200,c_fill,g_west,f_webp": "/cdn-cgi/image/width=200,height=200,fit=cover,gravity=left,format=webp/KEY",
        "w_200,h_200,c_fill,g_auto,f_webp": "/cdn-cgi/image/width=200,height=200,fit=cover,gravity=auto,format=webp/KEY",
        "w_200,h_200,c_fill,g_faces,f_webp": "/cdn-cgi/image/width=200,height=200,fit=cover,gravity=face,format=webp/KEY",
        "w_200,h_200,c_fill,g_0.3:0.7,f_webp": "/cdn-cgi/image/width=200,height=200,fit=cover,gravity=0.3x0.7,format=webp/KEY",
        "a_90,f_webp": "/cdn-cgi/image/rotate=90,format=webp/KEY",
        "a_hflip,f_webp": "/cdn-cgi/image/flip=h,format=webp/KEY",
        "a_vflip,f_webp": "/cdn-cgi/image/flip=v,format=webp/KEY",
        "w_300,dpr_2,f_webp": "/cdn-cgi/image/width=300,fit=scale-down,format=webp,dpr=2/KEY",
        "w_300,q_70,f_jpg": "/cdn-cgi/image/width=300,fit=scale-down,format=jpeg,quality=70/KEY",
        "w_300,e_blur:5,f_webp": "/cdn-cgi/image/width=300,fit=scale-down,blur=10,format=webp/KEY",
        "w_300,e_sharpen:1,f_webp": "/cdn-cgi/image/width=300,fit=scale-down,sharpen=1,format=webp/KEY",
        "w_300,e_brightness:20,f_webp": "/cdn-cgi/image/width=300,fit=scale-down,brightness=1.2,format=webp/KEY",
        "w_300,e_contrast:-30,f_webp": "/cdn-cgi/image/width=300,fit=scale-down,contrast=0.7,format=webp/KEY",
        "w_300,e_saturation:40,f_webp": "/cdn-cgi/image/width=300,fit=scale-down,saturation=1.4,format=webp/KEY",
        "w_300,e_gamma:2,f_webp": "/cdn-cgi/image/width=300,fit=scale-down,gamma=2,format=webp/KEY",
        "w_300,e_flatten:ff0000,f_webp": "/cdn-cgi/image/width=300,fit=scale-down,background=%23ff0000,format=webp/KEY",
    },
    "cloudinary": {
        "w_300,e_rotate:15,f_webp": "/image/upload/c_limit,w_300/a_15/f_webp/KEY",
        "w_300,e_opacity:50,f_webp": "/image/upload/c_limit,w_300/o_50/f_webp/KEY",
        "w_300,e_corners:1:2:3:4,f_webp": "/image/upload/c_limit,w_300/r_1:2:3:4/f_webp/KEY",
        "w_300,e_ellipse,f_webp": "/image/upload/c_limit,w_300/r_max/f_webp/KEY",
        "w_300,e_vignette:9,f_webp": "/image/upload/c_limit,w_300/e_vignette:9/f_webp/KEY",
        "w_300,e_vibrance:9,f_webp": "/image/upload/c_limit,w_300/e_vibrance:9/f_webp/KEY",
        "w_640,f_auto": "/image/upload/c_limit,w_640/f_auto/KEY",
        "w_640,f_auto,q_80": "/image/upload/c_limit,w_640/f_auto,q_80/KEY",
        "h_90,f_webp": "/image/upload/c_limit,h_90/f_webp/KEY",
        "w_400,h_300,c_fill,f_webp": "/image/upload/c_fill,w_400,h_300/f_webp/KEY",
        "w_400,h_300,c_fill,el_never,f_webp": "/image/upload/c_lfill,w_400,h_300/f_webp/KEY",
        "w_400,h_300,c_fit,f_webp": "/image/upload/c_limit,w_400,h_300/f_webp/KEY",
        "w_400,h_300,c_fit,el_allow,f_webp": "/image/upload/c_fit,w_400,h_300/f_webp/KEY",
        "w_400,h_300,c_fit,el_only,f_webp": "/image/upload/c_mfit,w_400,h_300/f_webp/KEY",
        "w_400,h_300,c_scale,f_png": "/image/upload/c_scale,w_400,h_300/f_png/KEY",
        "w_400,h_300,c_pad,b_ff0000,f_jpg": "/image/upload/c_pad,w_400,h_300,b_rgb:ff0000/f_jpg/KEY",
        "w_400,h_300,c_pad,el_never,b_ff0000,f_jpg": "/image/upload/c_lpad,w_400,h_300,b_rgb:ff0000/f_jpg/KEY",
        "w_300,ar_16:9,c_fill,f_webp": "/image/upload/c_fill,w_300,ar_16:9/f_webp/KEY",
        "w_200,h_200,c_fill,g_north_east,f_webp": "/image/upload/c_fill,w_200,h_200,g_north_east/f_webp/KEY",
        "w_200,h_200,c_fill,g_west,f_webp": "/image/upload/c_fill,w_200,h_200,g_west/f_webp/KEY",
        "w_200,h_200,c_fill,g_auto,f_webp": "/image/upload/c_fill,w_200,h_200,g_auto/f_webp/KEY",
        "w_200,h_200,c_fill,g_face,f_webp": "/image/upload/c_fill,w_200,h_200,g_face/f_webp/KEY",
        "w_200,h_200,c_fill,g_faces,f_webp": "/image/upload/c_fill,w_200,h_200,g_faces/f_webp/KEY",
        "w_400,h_300,c_crop,x_10,y_20,f_webp": "/image/upload/c_crop,w_400,h_300,x_10,y_20/f_webp/KEY",
        "w_400,h_300,c_crop,g_south,f_webp": "/image/upload/c_crop,w_400,h_300,g_south/f_webp/KEY",
        "w_300,f_webp~a_90": "/image/upload/c_limit,w_300/a_90/f_webp/KEY",
        "a_90,f_webp": "/image/upload/a_90/f_webp/KEY",
        "a_hflip,f_webp": "/image/upload/a_hflip/f_webp/KEY",
        "a_vflip,f_webp": "/image/upload/a_vflip/f_webp/KEY",
        "w_300,dpr_2,f_webp": "/image/upload/c_limit,w_300/f_webp,dpr_2.00/KEY",
        "w_300,q_70,f_jpg": "/image/upload/c_limit,w_300/f_jpg,q_70/KEY",
        "w_300,q_auto:eco,f_webp": "/image/upload/c_limit,w_300/f_webp,q_auto:eco/KEY",
        "w_300,e_blur:5,f_webp": "/image/upload/c_limit,w_300/e_blur:100/f_webp/KEY",
        "w_300,e_sharpen:1,f_webp": "/image/upload/c_limit,w_300/e_sharpen:100/f_webp/KEY",
        "w_300,e_pixelate:10,f_webp": "/image/upload/c_limit,w_300/e_pixelate:10/f_webp/KEY",
        "w_300,e_grayscale,f_webp": "/image/upload/c_limit,w_300/e_grayscale/f_webp/KEY",
        "w_300,e_sepia:50,f_webp": "/image/upload/c_limit,w_300/e_sepia:50/f_webp/KEY",
        "w_300,e_brightness:20,f_webp": "/image/upload/c_limit,w_300/e_brightness:20/f_webp/KEY",
        "w_300,e_contrast:-30,f_webp": "/image/upload/c_limit,w_300/e_contrast:-30/f_webp/KEY",
        "w_300,e_saturation:40,f_webp": "/image/upload/c_limit,w_300/e_saturation:40/f_webp/KEY",
        "w_300,e_hue:90,f_webp": "/image/upload/c_limit,w_300/e_hue:50/f_webp/KEY",
        "w_300,e_negate,f_webp": "/image/upload/c_limit,w_300/e_negate/f_webp/KEY",
        "w_300,e_flatten:ff0000,f_webp": "/image/upload/c_limit,w_300/b_rgb:ff0000/f_webp/KEY",
    },
    "imgix": {
        "w_640,f_auto": "/KEY?w=640&fit=max&auto=format",
        "w_640,f_auto,q_80": "/KEY?w=640&fit=max&auto=format&q=80",
        "h_90,f_webp": "/KEY?h=90&fit=max&fm=webp",
        "w_400,h_300,c_fill,f_webp": "/KEY?w=400&h=300&fit=crop&fm=webp",
        "w_400,h_300,c_fill,el_ratio,f_webp": "/KEY?w=400&h=300&fit=min&fm=webp",
        "w_400,h_300,c_fit,f_webp": "/KEY?w=400&h=300&fit=max&fm=webp",
        "w_400,h_300,c_fit,el_allow,f_webp": "/KEY?w=400&h=300&fit=clip&fm=webp",
        "w_400,h_300,c_scale,f_png": "/KEY?w=400&h=300&fit=scale&fm=png",
        "w_400,h_300,c_pad,b_ff0000,f_jpg": "/KEY?w=400&h=300&fit=fill&bg=ff0000&fm=jpg",
        "w_400,h_300,c_pad,el_never,b_ff0000,f_jpg": "/KEY?w=400&h=300&fit=fillmax&bg=ff0000&fm=jpg",
        "w_300,ar_16:9,c_fill,f_webp": "/KEY?w=300&ar=16:9&fit=crop&fm=webp",
        "w_200,h_200,c_fill,g_north_east,f_webp": "/KEY?w=200&h=200&fit=crop&crop=top,right&fm=webp",
        "w_200,h_200,c_fill,g_west,f_webp": "/KEY?w=200&h=200&fit=crop&crop=left&fm=webp",
        "w_200,h_200,c_fill,g_auto,f_webp": "/KEY?w=200&h=200&fit=crop&crop=edges&fm=webp",
        "w_200,h_200,c_fill,g_entropy,f_webp": "/KEY?w=200&h=200&fit=crop&crop=entropy&fm=webp",
        "w_200,h_200,c_fill,g_faces,f_webp": "/KEY?w=200&h=200&fit=crop&crop=faces&fm=webp",
        "w_200,h_200,c_fill,g_0.3:0.7,f_webp": "/KEY?w=200&h=200&fit=crop&crop=focalpoint&fp-x=0.3&fp-y=0.7&fm=webp",
        "w_400,h_300,c_crop,x_10,y_20,f_webp": "/KEY?rect=10,20,400,300&fm=webp",
        "a_hflip,f_webp": "/KEY?flip=h&fm=webp",
        "a_vflip,f_webp": "/KEY?flip=v&fm=webp",
        "w_300,dpr_2,f_webp": "/KEY?w=300&fit=max&fm=webp&dpr=2",
        "w_300,q_70,f_jpg": "/KEY?w=300&fit=max&fm=jpg&q=70",
        "w_300,e_blur:5,f_webp": "/KEY?w=300&fit=max&blur=100&fm=webp",
        "w_300,e_sharpen:1,f_webp": "/KEY?w=300&fit=max&sharp=20&fm=webp",
        "w_300,e_unsharp:2:80:0,f_webp": "/KEY?w=300&fit=max&usm=80&usmrad=2&fm=webp",
        "w_300,e_exposure:0.5,f_webp": "/KEY?w=300&fit=max&exp=25&fm=webp",
        "w_300,e_duotone:000080:ffffff,f_webp": "/KEY?w=300&fit=max&duotone=000080,ffffff&fm=webp",
        "w_300,e_ellipse,f_webp": "/KEY?w=300&fit=max&mask=ellipse&fm=webp",
        "w_300,e_corners:9,f_webp": "/KEY?w=300&fit=max&mask=corners&corner-radius=9,9,9,9&fm=webp",
        "w_300,e_vibrance:9,f_webp": "/KEY?w=300&fit=max&vib=9&fm=webp",
        "w_300,e_shadows:9,f_webp": "/KEY?w=300&fit=max&shad=9&fm=webp",
        "w_300,e_highlights:-9,f_webp": "/KEY?w=300&fit=max&high=-9&fm=webp",
        "w_300,e_pixelate:10,f_webp": "/KEY?w=300&fit=max&px=10&fm=webp",
        "w_300,e_sepia:50,f_webp": "/KEY?w=300&fit=max&sepia=50&fm=webp",
        "w_300,e_brightness:20,f_webp": "/KEY?w=300&fit=max&bri=20&fm=webp",
        "w_300,e_contrast:-30,f_webp": "/KEY?w=300&fit=max&con=-30&fm=webp",
        "w_300,e_saturation:40,f_webp": "/KEY?w=300&fit=max&sat=40&fm=webp",
        "w_300,e_hue:90,f_webp": "/KEY?w=300&fit=max&hue=90&fm=webp",
        "w_300,e_negate,f_webp": "/KEY?w=300&fit=max&invert=true&fm=webp",
        "w_300,e_flatten:ff0000,f_webp": "/KEY?w=300&fit=max&bg=ff0000&fm=webp",
    },
    "imagekit": {
        "w_300,e_corners:9,f_webp": "/tr:w-300,c-at_max:r-9_9_9_9:f-webp/KEY",
        "w_300,e_ellipse,f_webp": "/tr:w-300,c-at_max:r-max:f-webp/KEY",
        "w_640,f_auto": "/tr:w-640,c-at_max:f-auto/KEY",
        "w_640,f_auto,q_80": "/tr:w-640,c-at_max:f-auto,q-80/KEY",
        "h_90,f_webp": "/tr:h-90,c-at_max:f-webp/KEY",
        "w_400,h_300,c_fill,f_webp": "/tr:w-400,h-300,c-maintain_ratio:f-webp/KEY",
        "w_400,h_300,c_fit,f_webp": "/tr:w-400,h-300,c-at_max:f-webp/KEY",
        "w_400,h_300,c_fit,el_allow,f_webp": "/tr:w-400,h-300,c-at_max_enlarge:f-webp/KEY",
        "w_400,h_300,c_scale,f_png": "/tr:w-400,h-300,c-force:f-png/KEY",
        "w_400,h_300,c_pad,b_ff0000,f_jpg": "/tr:w-400,h-300,cm-pad_resize,bg-ff0000:f-jpg/KEY",
        "w_300,ar_16:9,c_fill,f_webp": "/tr:w-300,ar-16-9,c-maintain_ratio:f-webp/KEY",
        "w_200,h_200,c_fill,g_north_east,f_webp": "/tr:w-200,h-200,c-maintain_ratio,fo-top_right:f-webp/KEY",
        "w_200,h_200,c_fill,g_west,f_webp": "/tr:w-200,h-200,c-maintain_ratio,fo-left:f-webp/KEY",
        "w_200,h_200,c_fill,g_auto,f_webp": "/tr:w-200,h-200,c-maintain_ratio,fo-auto:f-webp/KEY",
        "w_200,h_200,c_fill,g_faces,f_webp": "/tr:w-200,h-200,c-maintain_ratio,fo-face:f-webp/KEY",
        "w_400,h_300,c_crop,x_10,y_20,f_webp": "/tr:w-400,h-300,cm-extract,x-10,y-20:f-webp/KEY",
        "w_400,h_300,c_crop,g_south,f_webp": "/tr:w-400,h-300,cm-extract,fo-bottom:f-webp/KEY",
        "w_300,f_webp~a_90": "/tr:w-300,c-at_max:rt-90:f-webp/KEY",
        "a_90,f_webp": "/tr:rt-90:f-webp/KEY",
        "a_hflip,f_webp": "/tr:fl-h:f-webp/KEY",
        "a_vflip,f_webp": "/tr:fl-v:f-webp/KEY",
        "w_300,q_70,f_jpg": "/tr:w-300,c-at_max:f-jpg,q-70/KEY",
        "w_300,e_blur:5,f_webp": "/tr:w-300,c-at_max:bl-10:f-webp/KEY",
        "w_300,e_grayscale,f_webp": "/tr:w-300,c-at_max:e-grayscale:f-webp/KEY",
        "w_300,e_flatten:ff0000,f_webp": "/tr:w-300,c-at_max:bg-ff0000:f-webp/KEY",
        "w_300,h_200,c_outside,f_webp": "/tr:w-300,h-200,c-at_least:f-webp/KEY",
    },
    "imgproxy": {
        "h_90,f_webp": "/unsafe/rs:fit:0:90/plain/KEY@webp",
        "w_400,h_300,c_fill,f_webp": "/unsafe/rs:fill:400:300:1/plain/KEY@webp",
        "w_400,h_300,c_fill,el_never,f_webp": "/unsafe/rs:fill:400:300/plain/KEY@webp",
        "w_400,h_300,c_fill,el_ratio,f_webp": "/unsafe/rs:fill-down:400:300/plain/KEY@webp",
        "w_400,h_300,c_fit,f_webp": "/unsafe/rs:fit:400:300/plain/KEY@webp",
        "w_400,h_300,c_fit,el_allow,f_webp": "/unsafe/rs:fit:400:300:1/plain/KEY@webp",
        "w_400,h_300,c_scale,f_png": "/unsafe/rs:force:400:300:1/plain/KEY@png",
        "w_400,h_300,c_pad,b_ff0000,f_jpg": "/unsafe/rs:fit:400:300:1:1/bg:ff0000/plain/KEY@jpg",
        "w_400,h_300,c_pad,el_never,b_ff0000,f_jpg": "/unsafe/rs:fit:400:300:0:1/bg:ff0000/plain/KEY@jpg",
        "w_200,h_200,c_fill,g_north_east,f_webp": "/unsafe/rs:fill:200:200:1/g:noea/plain/KEY@webp",
        "w_200,h_200,c_fill,g_west,f_webp": "/unsafe/rs:fill:200:200:1/g:we/plain/KEY@webp",
        "w_200,h_200,c_fill,g_auto,f_webp": "/unsafe/rs:fill:200:200:1/g:sm/plain/KEY@webp",
        "w_200,h_200,c_fill,g_0.3:0.7,f_webp": "/unsafe/rs:fill:200:200:1/g:fp:0.3:0.7/plain/KEY@webp",
        "w_400,h_300,c_crop,g_south,f_webp": "/unsafe/c:400:300:so/plain/KEY@webp",
        "a_90,f_webp": "/unsafe/rot:90/plain/KEY@webp",
        "a_hflip,f_webp": "/unsafe/fl:1/plain/KEY@webp",
        "a_vflip,f_webp": "/unsafe/fl:1/rot:180/plain/KEY@webp",
        "w_300,dpr_2,f_webp": "/unsafe/rs:fit:300:0/dpr:2/plain/KEY@webp",
        "w_300,q_70,f_jpg": "/unsafe/rs:fit:300:0/q:70/plain/KEY@jpg",
        "w_300,mb_20000,f_webp": "/unsafe/rs:fit:300:0/mb:20000/plain/KEY@webp",
        "w_300,pad_5:6:7:8,b_ff0000,f_jpg": "/unsafe/rs:fit:300:0/pd:5:6:7:8/bg:ff0000/plain/KEY@jpg",
        "w_300,e_blur:5,f_webp": "/unsafe/rs:fit:300:0/bl:5/plain/KEY@webp",
        "w_300,e_sharpen:1,f_webp": "/unsafe/rs:fit:300:0/sh:1/plain/KEY@webp",
        "w_300,e_pixelate:10,f_webp": "/unsafe/rs:fit:300:0/pix:10/plain/KEY@webp",
        "w_300,e_flatten:ff0000,f_webp": "/unsafe/rs:fit:300:0/bg:ff0000/plain/KEY@webp",
    },
    "thumbor": {
        "h_90,f_webp": "/unsafe/0x90/filters:no_upscale():format(webp)/KEY",
        "w_400,h_300,c_fill,f_webp": "/unsafe/400x300/filters:format(webp)/KEY",
        "w_400,h_300,c_fill,el_never,f_webp": "/unsafe/400x300/filters:no_upscale():format(webp)/KEY",
        "w_400,h_300,c_fit,f_webp": "/unsafe/fit-in/400x300/filters:format(webp)/KEY",
        "w_400,h_300,c_scale,f_png": "/unsafe/stretch/400x300/filters:format(png)/KEY",
        "w_400,h_300,c_pad,b_ff0000,f_jpg": "/unsafe/fit-in/400x300/filters:upscale():fill(ff0000):format(jpeg)/KEY",
        "w_400,h_300,c_pad,el_never,b_ff0000,f_jpg": "/unsafe/fit-in/400x300/filters:fill(ff0000):format(jpeg)/KEY",
        "w_200,h_200,c_fill,g_north_east,f_webp": "/unsafe/200x200/right/top/filters:format(webp)/KEY",
        "w_200,h_200,c_fill,g_west,f_webp": "/unsafe/200x200/left/filters:format(webp)/KEY",
        "w_200,h_200,c_fill,g_auto,f_webp": "/unsafe/200x200/smart/filters:format(webp)/KEY",
        "w_400,h_300,c_crop,x_10,y_20,f_webp": "/unsafe/10x20:410x320/filters:format(webp)/KEY",
        "w_300,f_webp~a_90": "/unsafe/300x0/filters:no_upscale():rotate(270):format(webp)/KEY",
        "a_90,f_webp": "/unsafe/filters:rotate(270):format(webp)/KEY",
        "w_300,q_70,f_jpg": "/unsafe/300x0/filters:no_upscale():format(jpeg):quality(70)/KEY",
        "w_300,mb_20000,f_webp": "/unsafe/300x0/filters:no_upscale():format(webp):max_bytes(20000)/KEY",
        "w_300,e_pixelate:10,f_webp": "/unsafe/300x0/filters:no_upscale():pixelate(10):format(webp)/KEY",
        "w_300,e_grayscale_601,f_webp": "/unsafe/300x0/filters:no_upscale():grayscale():format(webp)/KEY",
        "w_300,e_saturation_hsp:40,f_webp": "/unsafe/300x0/filters:no_upscale():saturation(1.4):format(webp)/KEY",
        "w_300,e_equalize,f_webp": "/unsafe/300x0/filters:no_upscale():equalize():format(webp)/KEY",
        "w_300,e_rgb:20:0:-20,f_webp": "/unsafe/300x0/filters:no_upscale():rgb(20,0,-20):format(webp)/KEY",
        "w_300,h_200,c_outside,f_webp": "/unsafe/full-fit-in/300x200/filters:format(webp)/KEY",
    },
}


def target(written: str) -> str:
    return written.replace("KEY", "deep/a%20b.jpg")


@pytest.mark.parametrize(
    ("dialect", "tokens"), [(dialect, tokens) for dialect, rows in WRITTEN.items() for tokens in rows]
)
def test_a_vendor_has_a_url_for_the_picture(dialect: str, tokens: str) -> None:
    expected = target(WRITTEN[dialect][tokens])
    assert dict(equivalents(parse_transform(tokens, {}), KEY))[dialect] == expected


@pytest.mark.parametrize(
    ("dialect", "tokens"),
    [
        ("imgproxy", "w_640,f_auto"),
        ("thumbor", "w_640,f_auto"),
        ("next", "w_400,h_300,c_fit,f_webp"),
        ("cloudflare", "w_400,h_300,c_crop,x_10,y_20,f_webp"),
        ("cloudinary", "w_300,mb_20000,f_webp"),
        ("imgix", "w_300,q_auto:eco,f_webp"),
        ("imagekit", "w_300,e_sepia:50,f_webp"),
        ("cloudinary", "w_400,h_300,c_crop,g_at:10:20,f_webp"),
        ("imgix", "rw_0.5,f_webp"),
        ("thumbor", "w_200,h_200,c_fill,g_0.3:0.7,f_webp"),
    ],
)
def test_no_url_is_given_for_another_picture(dialect: str, tokens: str) -> None:
    assert dict(equivalents(parse_transform(tokens, {}), KEY))[dialect] == ""


def test_every_other_dialect_answers() -> None:
    assert [*dict(equivalents(Transform(), KEY))] == [name for name in DIALECTS if name != "native"]


@given(transforms, keys)
def test_a_url_requests_the_picture_or_there_is_none(transform: Transform, key: str) -> None:
    for name, written in equivalents(transform, key):
        if written:
            parsed = DIALECTS[name].parse(written, Reading(presets={}))
            assert isinstance(parsed, VariantUrl)
            assert parsed.key == key
            assert parsed.transform.format == transform.format

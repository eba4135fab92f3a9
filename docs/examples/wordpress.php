<?php
/**
 * Plugin Name: Calotype
 * Description: Pictures of the media library come from a Calotype node, whose source is wp-content/uploads.
 */

const CALOTYPE_BASE = 'https://images.shop.example';

function calotype_variant(string $url, int $width, int $height = 0): string
{
    $uploads = wp_get_upload_dir()['baseurl'] . '/';
    if (!str_starts_with($url, $uploads)) {
        return $url;
    }
    // WordPress adds -WIDTHxHEIGHT to the names of its own sizes; the node makes them from the original.
    $key = preg_replace('/-\d+x\d+(?=\.\w+$)/', '', substr($url, strlen($uploads)));
    $box = $height ? "w_{$width},h_{$height},c_fill,g_auto" : "w_{$width}";
    return CALOTYPE_BASE . "/{$box},f_auto/{$key}";
}

add_filter('wp_get_attachment_image_src', function ($image) {
    if ($image) {
        $image[0] = calotype_variant($image[0], $image[1], $image[3] ? $image[2] : 0);
    }
    return $image;
});

add_filter('wp_calculate_image_srcset', function ($sources) {
    return array_map(fn ($source) => ['url' => calotype_variant($source['url'], $source['value'])] + $source, $sources);
});

// The node makes every size, so WordPress stores the original only.
add_filter('intermediate_image_sizes_advanced', '__return_empty_array');

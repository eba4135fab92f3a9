<?php
// app/helpers.php: calotype_url('lake.jpg', ['w' => 400, 'h' => 300, 'c' => 'fill', 'f' => 'auto']), with the tokens of docs/urls.md.

function calotype_url(string $key, array $tokens, ?string $secret = null): string
{
    $base = getenv('CALOTYPE_BASE') ?: 'https://images.shop.example';
    $path = implode('/', array_map('rawurlencode', explode('/', $key)));
    $written = implode(',', array_map(fn ($name, $value) => "{$name}_{$value}", array_keys($tokens), $tokens));
    $target = "/{$written}/{$path}";
    if ($secret === null) {
        return $base . $target;
    }
    $mac = hash_hmac('sha256', $target, $secret, true);
    return $base . $target . '?sig=' . rtrim(strtr(base64_encode($mac), '+/', '-_'), '=');
}

function calotype_srcset(string $key, array $tokens): string
{
    $candidates = array_map(
        fn ($width) => calotype_url($key, ['w' => $width] + $tokens) . " {$width}w",
        [320, 640, 960, 1280, 1920],
    );
    return implode(', ', $candidates);
}
